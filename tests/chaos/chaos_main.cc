// Long rounds of chaos, and soaks: see chaos_round.h. `make chaos` and `make soak` run it.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <iostream>

#include "tests/chaos/chaos_round.h"

namespace hone {
namespace {

int Main(int argc, char** argv) {
  CLI::App app("Kills, stops and cuts off the programs of a farm at work, and judges what is left.",
               "chaos");
  ChaosOptions options;
  int minutes = 0, pause_ms = 500, fault_s = 40;
  app.add_option("--seed", options.seed, "What happens")->capture_default_str();
  app.add_option("--kills", options.kills, "Processes killed in a round")->capture_default_str();
  app.add_option("--pause-ms", pause_ms, "Between two faults, on average")->capture_default_str();
  app.add_option("--fault-s", fault_s, "Longest cut, stop and full disk")->capture_default_str();
  app.add_option("--only", options.only, "The one kind of fault that happens: \"kill tracker\"");
  app.add_option("--soak", minutes, "No faults at all: a farm at half load, for so many minutes");
  app.add_option("--users", options.users)->capture_default_str();
  app.add_option("--crowd", options.crowd, "Made-up agents")->capture_default_str();
  app.add_option("--rate", options.batches_per_s, "Batches a second of each user")
      ->capture_default_str();
  app.add_option("--jobs", options.jobs, "Tuning jobs at most, one after another");
  app.add_flag("--as-user", options.farm.as_user, "Do without what only root can have");
  CLI11_PARSE(app, argc, argv);
  options.pause = absl::Milliseconds(pause_ms);
  options.fault_max = absl::Seconds(fault_s);
  if (app.count("--jobs") == 0) options.jobs = 1'000'000;
  options.time = minutes > 0 ? absl::Minutes(minutes) : absl::Hours(12);
  options.faults = minutes == 0;
  options.calm = absl::Minutes(5);
  // For what the results of a round take, with room to spare.
  options.farm.disk_bytes = int64_t{256} << 20;
  if (minutes > 0) options.farm.disk_bytes += (int64_t{24} << 20) * minutes;
  const auto report = RunChaos(options, std::cout);
  if (!report.ok()) {
    std::cerr << "chaos: " << report.status().message() << std::endl;
    return 2;
  }
  std::cout << report->ToString() << std::flush;
  return report->violations.empty() ? 0 : 1;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) { return hone::Main(argc, argv); }
