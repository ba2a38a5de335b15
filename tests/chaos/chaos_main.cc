// Long rounds of chaos, and soaks: see chaos_round.h. `make chaos` and `make soak` run it.
#include <CLI/CLI.hpp>
#include <cstdint>
#include <iostream>
#include <limits>

#include "tests/chaos/chaos_round.h"

namespace hone {
namespace {

int Main(int argc, char** argv) {
  CLI::App app("Kills, stops and cuts off the programs of a farm at work, and judges what is left.",
               "chaos");
  ChaosOptions options;
  int minutes = 0, seconds = 12 * 3600, pause_ms = 500, fault_s = 40, calm_s = 300;
  double flap_s = 0;
  app.add_option("--seed", options.seed, "What happens")->capture_default_str();
  app.add_option("--kills", options.kills, "Processes killed in a round")->capture_default_str();
  app.add_option("--pause-ms", pause_ms, "Between two faults, on average")->capture_default_str();
  app.add_option("--fault-s", fault_s, "Longest cut, stop and full disk")->capture_default_str();
  app.add_option("--only", options.only, "The one kind of fault that happens: \"kill tracker\"");
  app.add_option("--flap", flap_s,
                 "The tracker is killed every so many seconds, and nothing else happens; nothing "
                 "may be refused, and 1 % be measured twice");
  app.add_option("--links", options.link_schedules,
                 "So many random schedules of cut links, and nothing else happens; agents have to "
                 "be at work again 15 s after each");
  app.add_option("--seconds", seconds, "Longest round, without its calm")->capture_default_str();
  app.add_option("--calm-s", calm_s, "That everything has to come to its end")
      ->capture_default_str();
  app.add_option("--soak", minutes, "No faults at all: a farm at half load, for so many minutes");
  app.add_option("--users", options.users)->capture_default_str();
  app.add_option("--crowd", options.crowd, "Made-up agents")->capture_default_str();
  app.add_option("--rate", options.batches_per_s, "Batches a second of each user")
      ->capture_default_str();
  app.add_option("--outstanding", options.outstanding_max, "Batches of a user on their way")
      ->capture_default_str();
  app.add_option("--jobs", options.jobs, "Tuning jobs at most");
  app.add_option("--jobs-at-a-time", options.jobs_at_a_time, "Handed in together")
      ->capture_default_str();
  app.add_option("--daemons", options.farm.daemons)->capture_default_str();
  app.add_flag("--as-user", options.farm.as_user, "Do without what only root can have");
  app.add_option("--logs", options.farm.logs, "A folder in which the programs' logs stay")
      ->check(CLI::ExistingDirectory);
  CLI11_PARSE(app, argc, argv);
  options.pause = absl::Milliseconds(pause_ms);
  options.fault_max = absl::Seconds(fault_s);
  if (app.count("--jobs") == 0) options.jobs = 1'000'000;
  options.flaps = flap_s > 0;
  if (options.flaps) {
    options.pause = absl::Seconds(flap_s);
    options.kills = std::numeric_limits<int>::max();
  }
  options.time = minutes > 0 ? absl::Minutes(minutes) : absl::Seconds(seconds);
  options.faults = minutes == 0;
  options.calm = absl::Seconds(calm_s);
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
