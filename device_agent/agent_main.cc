// hone-agent: measures candidates on this machine for a tracker.
#include <errno.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/selector.h"
#include "base/status.h"
#include "device_agent/agent.h"
#include "device_agent/machine_probe.h"
#include "device_agent/measure/core_speed.h"

namespace hone {
namespace {

namespace asio = boost::asio;

struct Options {
  std::string tracker = "127.0.0.1:7710";
  std::string name;
  std::vector<std::string> labels;
  int threads = 1;
  int parent_pid = 0;
  std::string spool;
  std::string worker;
  bool probe = false;
  bool quiet = false;
};

// Names and labels are words of selectors.
std::string CheckWord(const std::string& word) {
  if (Selector::IsWord(word)) return "";
  return absl::StrCat("'", word, "' is no word; letters, digits and _ - . / : make one");
}

void Declare(CLI::App& app, Options& options) {
  app.add_option("--tracker", options.tracker, "The tracker: unix:/path or host:port")
      ->capture_default_str();
  app.add_option("--name", options.name,
                 "Name of this device, unique in the farm (default: the host's name)")
      ->check(CheckWord);
  app.add_option("--label", options.labels,
                 "Word that selects this device, as in `hone tune --device rack3`; may be repeated")
      ->check(CheckWord);
  app.add_option("--threads", options.threads, "Threads that a kernel may use")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  app.add_option("--spool", options.spool,
                 "Folder that keeps reports over a restart until the tracker has them");
  app.add_option("--worker", options.worker,
                 "The measuring program (default: hone-worker beside this one)");
  app.add_option("--parent-pid", options.parent_pid, "End when this process ends");
  app.add_flag("--probe", options.probe,
               "Print what this machine is (target, speed, facts) and end");
  app.add_flag("--quiet", options.quiet, "Log warnings only");
  app.footer(
      "Start one on every device of a farm, with the tracker's address:\n"
      "  hone-agent --tracker farm.example.com:7710 --name pi-3\n"
      "It dials out, measures what it is given, one batch at a time, and reconnects by itself.\n"
      "Exit codes: 0 ended by a signal, 1 could not start or was refused, 2 wrong arguments.");
}

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 && name[0] != '\0' ? name : "device";
}

pb::DeviceInfo DescribeDevice(const Options& options) {
  Machine machine = ProbeThisMachine();
  machine.target.threads = options.threads;
  pb::DeviceInfo info;
  info.set_name(options.name.empty() ? HostName() : options.name);
  info.set_target(machine.target.ToString());
  info.mutable_labels()->Assign(options.labels.begin(), options.labels.end());
  for (const auto& [name, value] : machine.facts) (*info.mutable_facts())[name] = value;
  *info.mutable_speed() = MeasureCoreSpeed(machine.target);
  return info;
}

// One fact a line, its name first; the target, in its text form, leads.
void PrintProbe(const pb::DeviceInfo& info) {
  std::cout << info.target() << "\n";
  const pb::CoreSpeed& speed = info.speed();
  std::cout << "peak_gflops " << speed.peak_gflops() << "\n";
  std::cout << "l1_gbps " << speed.l1_gbps() << "\n";
  std::cout << "l2_gbps " << speed.l2_gbps() << "\n";
  std::cout << "l3_gbps " << speed.l3_gbps() << "\n";
  std::cout << "memory_gbps " << speed.memory_gbps() << "\n";
  std::cout << "stream_gbps " << speed.stream_gbps() << "\n";
  for (const auto& [name, value] :
       std::map<std::string, std::string>(info.facts().begin(), info.facts().end()))
    std::cout << name << " " << value << "\n";
}

Status Serve(const Options& options) {
  asio::io_context context(1);
  asio::signal_set signals(context, SIGTERM, SIGINT);
  signals.async_wait([&](const auto&, int) { context.stop(); });
  asio::posix::stream_descriptor parent(context);
  if (options.parent_pid != 0) {
    const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, options.parent_pid, 0));
    if (pidfd < 0)
      return absl::FailedPreconditionError(
          absl::StrCat("process ", options.parent_pid, " (--parent-pid) is gone"));
    parent.assign(pidfd);
    parent.async_wait(asio::posix::stream_descriptor::wait_read,
                      [&](const auto&) { context.stop(); });
  }
  AgentOptions agent_options;
  agent_options.tracker = options.tracker;
  agent_options.device = DescribeDevice(options);
  agent_options.spool_folder = options.spool;
  agent_options.worker_program = !options.worker.empty()
                                     ? options.worker
                                     : std::filesystem::read_symlink("/proc/self/exe")
                                           .replace_filename("hone-worker")
                                           .string();
  const SystemClock clock;
  HONE_ASSIGN_OR_RETURN(const std::unique_ptr<Agent> agent,
                        Agent::Start(context, clock, std::move(agent_options)));
  context.run();
  return agent->status();
}

int Main(int argc, char** argv) {
  CLI::App app("Measures candidates on this machine for a tracker.", "hone-agent");
  Options options;
  Declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (options.probe) {
    PrintProbe(DescribeDevice(options));
    return 0;
  }
  signal(SIGPIPE, SIG_IGN);
  spdlog::set_default_logger(spdlog::stderr_color_mt("hone-agent"));
  spdlog::set_level(options.quiet ? spdlog::level::warn : spdlog::level::info);
  const Status status = Serve(options);
  if (status.ok()) return 0;
  std::cerr << "hone-agent: " << std::string(status.message()) << std::endl;
  return 1;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) { return hone::Main(argc, argv); }
