// hone-agent: measures candidates on this machine for a tracker.
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "base/idle_watch.h"
#include "base/selector.h"
#include "base/status.h"
#include "device_agent/agent.h"
#include "device_agent/builder.h"
#include "device_agent/canary_file.h"
#include "device_agent/device_spec.h"
#include "device_agent/machine_probe.h"
#include "device_agent/measure/core_speed.h"
#include "device_agent/measure/timer_check.h"
#include "device_agent/sandbox/probe.h"
#include "rpc/address.h"
#include "rpc/certificate_keeper.h"
#include "rpc/credentials.h"
#include "rpc/identity.h"
#include "rpc/log_sink.h"
#include "rpc/membership.h"

namespace hone {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kIdleLook(100);
// For the tracker to hear that the agent ends; a busy or lost one notices later.
constexpr absl::Duration kHandBackMax = absl::Seconds(1);

struct Options {
  std::vector<std::string> trackers = {"127.0.0.1:7710"};
  std::string tls_dir;
  std::string name;
  std::vector<std::string> devices;
  bool independent_devices = false;
  std::vector<std::string> labels;
  std::string quality = "auto";
  std::string sysroot;
  int gate_wait_s = 120;
  int threads = 1;
  int parent_pid = 0;
  std::string spool;
  std::string cache;
  int64_t cache_max_mib = 256;
  std::string worker;
  std::string sandbox = "best";
  int build = 0;
  bool build_only = false;
  std::string build_worker;
  int until_idle_s = 0;  // 0: for ever
  bool probe = false;
  bool print = false;
  bool quiet = false;
  std::string log = "text";
  // Of join.
  std::string join_tracker;
  std::string token;
  bool run = false;
};

// Names and labels are words of selectors.
std::string CheckWord(const std::string& word) {
  if (Selector::IsWord(word)) return "";
  return absl::StrCat("'", word, "' is no word; letters, digits and _ - . / : make one");
}

void Declare(CLI::App& app, Options& options) {
  app.add_option("--tracker", options.trackers,
                 "The tracker: unix:/path or host:port; several, with commas, are tried in turn")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--tls-dir", options.tls_dir,
                 "Folder of this agent's certificates, for a tracker on another machine (default: "
                 "$HONE_TLS_DIR, or where join puts them)");
  app.add_option("--name", options.name,
                 "Name of this agent, unique in the farm, and of its device if that has no other "
                 "(default: the host's name)")
      ->check(CheckWord);
  app.add_option("--device", options.devices,
                 "NAME=cpu:LIST, a device of some of this machine's processors (0-3,6); may be "
                 "repeated (default: one of all)")
      ->check([](const std::string& text) {
        return std::string(ParseDeviceSpec(text).status().message());
      });
  app.add_flag("--independent-devices", options.independent_devices,
               "The devices do not disturb each other: measure on several at a time");
  app.add_option("--label", options.labels,
                 "Word that selects this device, as in `hone tune --device rack3`; may be repeated")
      ->check(CheckWord);
  app.add_option("--quality", options.quality,
                 "bench: times count beside other machines', and the device waits until it is "
                 "quiet; indicative: they do not (auto: as its clock and its kind allow)")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "bench", "indicative"}));
  app.add_option("--gate-wait", options.gate_wait_s,
                 "Seconds that a batch waits until its device is quiet")
      ->capture_default_str()
      ->check(CLI::Range(0, 120));
  app.add_option(
      "--sysroot", options.sysroot,
      "Folder below which sensors and facts are read, for tests (default: this machine)");
  app.add_option("--threads", options.threads, "Threads that a kernel may use")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  app.add_option("--spool", options.spool,
                 "Folder that keeps reports over a restart until the tracker has them");
  app.add_option("--cache", options.cache,
                 "Folder that keeps artifacts over a restart; one agent a folder");
  app.add_option("--cache-max", options.cache_max_mib, "MiB of artifacts kept, at most")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--worker", options.worker,
                 "The measuring program (default: hone-worker beside this one)");
  app.add_option("--sandbox", options.sandbox,
                 "Walls around kernels: L0 to L3, or the best that this machine gives. Never fewer "
                 "than asked for")
      ->capture_default_str()
      ->check(CLI::IsMember({"best", "L0", "L1", "L2", "L3"}));
  app.add_option("--build", options.build,
                 "Also compile for the farm, for any device: so many candidates at a time")
      ->check(CLI::Range(1, 1024));
  app.add_flag("--build-only", options.build_only, "Measure nothing here")->needs("--build");
  app.add_option("--build-worker", options.build_worker,
                 "The compiling program (default: hone-build-worker beside this one)");
  app.add_option("--until-idle", options.until_idle_s,
                 "End after so many seconds without work, as jobs on a cluster should")
      ->check(CLI::Range(1, 7 * 24 * 3600));
  app.add_option("--parent-pid", options.parent_pid, "End when this process ends");
  app.add_flag("--probe", options.probe,
               "Print what this machine is (target, speed, facts) and end, for programs");
  app.add_flag("--print", options.print, "Print what the devices are, for people, and end");
  app.add_option("--log", options.log, "How events are logged to stderr, one a line: text or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"text", "json"}));
  app.add_flag("--quiet", options.quiet, "Log warnings only");
  CLI::App* const join = app.add_subcommand("join", "Join a farm with a token of its owner's");
  join->fallthrough();
  join->add_option("TRACKER", options.join_tracker, "host:port of the farm's tracker")->required();
  join->add_option("TOKEN", options.token, "As `hone farm token --role agent` printed it")
      ->required();
  join->add_flag("--run", options.run, "Then start measuring for it");
  app.footer(
      "Start one on every device of a farm, with the tracker's address:\n"
      "  hone-agent join farm.example.com:7710 TOKEN\n"
      "  hone-agent --tracker farm.example.com:7710\n"
      "Two devices of four processors each on one host:\n"
      "  hone-agent --device left=cpu:0-3 --device right=cpu:4-7\n"
      "A host of a rack that compiles for a shelf of boards:\n"
      "  hone-agent --build 16 --build-only\n"
      "It dials out, measures what it is given, one batch at a time, and reconnects by itself.\n"
      "When it ends in good order, others have at once what it was given and has not done.\n"
      "Exit codes: 0 ended by a signal or --until-idle, 1 could not start or was refused, 2 wrong "
      "arguments.");
}

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 && name[0] != '\0' ? name : "device";
}

std::string Sibling(const std::string& name) {
  return std::filesystem::read_symlink("/proc/self/exe").replace_filename(name).string();
}

std::string WorkerProgram(const Options& options) {
  return options.worker.empty() ? Sibling("hone-worker") : options.worker;
}

// An error when the machine does not give what --sandbox asks for.
StatusOr<SandboxReport> DescribeSandbox(const Options& options) {
  std::optional<SandboxLevel> wanted;
  if (options.sandbox != "best") {
    HONE_ASSIGN_OR_RETURN(wanted, ParseSandboxLevel(options.sandbox));
  }
  return ProbeSandbox(WorkerProgram(options), wanted);
}

pb::DeviceInfo DescribeDevice(const Options& options, const SandboxReport& sandbox,
                              const DeviceSpec& device) {
  const ScopedCpus on_its_cpus(device.cpus);
  Machine machine = ProbeThisMachine(options.sysroot, device.cpus);
  machine.target.threads = device.cpus.empty()
                               ? options.threads
                               : std::min(options.threads, static_cast<int>(device.cpus.size()));
  machine.facts.merge(CheckTimer(options.sysroot, AllowedCpus()));
  if (options.quality != "auto") machine.facts["quality"] = options.quality;
  machine.facts.merge(sandbox.Facts());
  machine.facts["agent_version"] = HONE_VERSION;
  machine.facts["runs_models"] = "yes";
  pb::DeviceInfo info;
  info.set_name(device.name);
  info.set_target(machine.target.ToString());
  info.mutable_labels()->Assign(options.labels.begin(), options.labels.end());
  for (const auto& [name, value] : machine.facts) (*info.mutable_facts())[name] = value;
  *info.mutable_speed() = MeasureCoreSpeed(machine.target);
  return info;
}

std::string AgentName(const Options& options) {
  return options.name.empty() ? HostName() : options.name;
}

StatusOr<std::vector<DeviceSpec>> DeviceSpecs(const Options& options) {
  std::vector<DeviceSpec> devices;
  for (const std::string& text : options.devices) {
    HONE_ASSIGN_OR_RETURN(devices.emplace_back(), ParseDeviceSpec(text));
  }
  if (devices.empty()) devices.push_back({.name = AgentName(options)});
  HONE_RETURN_IF_ERROR(CheckDeviceSpecs(devices, AllowedCpus()));
  return devices;
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

// For people: a device's facts in columns.
Status PrintDevices(const Options& options) {
  HONE_ASSIGN_OR_RETURN(const std::vector<DeviceSpec> devices, DeviceSpecs(options));
  HONE_ASSIGN_OR_RETURN(const SandboxReport sandbox, DescribeSandbox(options));
  for (const DeviceSpec& device : devices) {
    const pb::DeviceInfo info = DescribeDevice(options, sandbox, device);
    std::cout << "device " << info.name() << "\n";
    const auto line = [](const std::string& name, const std::string& value) {
      std::cout << absl::StrFormat("  %-18s %s\n", name, value);
    };
    const Target target = Target::Parse(info.target()).value_or(Target());
    line("core", absl::StrCat(target.cpu, " (", target.arch, "), ", target.cores, " of them, ",
                              target.threads, " for a kernel"));
    line("features", absl::StrJoin(target.features, " "));
    line("caches", absl::StrFormat("%d KiB, %d KiB, %d KiB", target.l1_bytes >> 10,
                                   target.l2_bytes >> 10, target.l3_bytes >> 10));
    const pb::CoreSpeed& speed = info.speed();
    line("peak", absl::StrFormat("%.1f GFLOP/s a core", speed.peak_gflops()));
    line("reads",
         absl::StrFormat("%.0f, %.0f, %.0f GB/s from its caches, %.1f from memory", speed.l1_gbps(),
                         speed.l2_gbps(), speed.l3_gbps(), speed.memory_gbps()));
    for (const auto& [name, value] :
         std::map<std::string, std::string>(info.facts().begin(), info.facts().end()))
      line(name, value);
  }
  return absl::OkStatus();
}

// /var/lib/hone/tls for the system's agent, ~/.local/share/hone/tls for a user's own.
std::string DefaultTlsDir() {
  if (const char* dir = std::getenv("HONE_TLS_DIR")) return dir;
  const char* home = std::getenv("HOME");
  if (geteuid() == 0 || home == nullptr) return "/var/lib/hone/tls";
  return absl::StrCat(home, "/.local/share/hone/tls");
}

// Of the trackers of a farm the one that stands for all: the first on another machine, if any is.
const std::string& TrackerOf(const Options& options) {
  for (const std::string& tracker : options.trackers) {
    if (!IsOnThisMachine(tracker)) return tracker;
  }
  return options.trackers.front();
}

// What is not said about TLS: where the certificates are, and the name, which is theirs.
Status CompleteTls(Options& options) {
  if (options.tls_dir.empty() && !IsOnThisMachine(TrackerOf(options))) {
    options.tls_dir = DefaultTlsDir();
  }
  if (options.tls_dir.empty() || IsUnixSocket(TrackerOf(options))) return absl::OkStatus();
  HONE_ASSIGN_OR_RETURN(const Identity identity,
                        CheckTlsFolder(TlsFolder(options.tls_dir), SystemClock().UnixMillis()));
  const bool builds = options.build_only && identity.role == Role::kBuilder;
  if (identity.role != Role::kAgent && !builds) {
    return absl::FailedPreconditionError(
        absl::StrCat("the certificate in ", options.tls_dir, " is of ", identity.ToString(),
                     ", and an agent needs one of its own: ask an owner of the farm for `hone farm "
                     "token --role agent --name ",
                     AgentName(options), "`"));
  }
  if (options.name.empty()) options.name = identity.name;
  return CheckSpeaksFor(identity, options.name);
}

Status Join(const Options& options) {
  const std::string folder = options.tls_dir.empty() ? DefaultTlsDir() : options.tls_dir;
  HONE_ASSIGN_OR_RETURN(const Identity identity,
                        JoinFarm(options.join_tracker, options.token, TlsFolder(folder)));
  std::cout << "joined as " << identity.ToString() << "; the certificate is in " << folder
            << std::endl;
  if (!options.run) {
    std::cout << "Next: hone-agent --tracker " << options.join_tracker << std::endl;
    return absl::OkStatus();
  }
  // Anew: the worker must be forked before there is any connection.
  execl("/proc/self/exe", "hone-agent", "--tracker", options.join_tracker.c_str(), "--tls-dir",
        folder.c_str(), nullptr);
  return absl::InternalError(absl::StrCat("joined, but cannot start: ", strerror(errno)));
}

// Stops the context once there was no work for --until-idle.
class IdleEnd {
 public:
  IdleEnd(asio::io_context& context, const Options& options, const Clock& clock, const Agent* agent,
          const Builder* builder)
      : context_(context), clock_(clock), agent_(agent), builder_(builder), timer_(context) {
    if (options.until_idle_s == 0) return;
    watch_.emplace(int64_t{options.until_idle_s} * 1'000'000'000, clock.MonotonicNanos());
    Look();
  }

 private:
  void Look() {
    const bool idle =
        (agent_ == nullptr || agent_->IsIdle()) && (builder_ == nullptr || builder_->IsIdle());
    const uint64_t taken =
        (agent_ == nullptr ? 0 : agent_->taken()) + (builder_ == nullptr ? 0 : builder_->taken());
    if (watch_->Update(!idle, taken, clock_.MonotonicNanos())) return context_.stop();
    timer_.expires_after(kIdleLook);
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) Look();
    });
  }

  asio::io_context& context_;
  const Clock& clock_;
  const Agent* const agent_;      // null: measures nothing
  const Builder* const builder_;  // null: builds nothing
  asio::steady_timer timer_;
  std::optional<IdleWatch> watch_;
};

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
  agent_options.trackers = options.trackers;
  agent_options.tls_dir = options.tls_dir;
  agent_options.name = AgentName(options);
  agent_options.independent_devices = options.independent_devices;
  agent_options.spool_folder = options.spool;
  agent_options.cache.folder = options.cache;
  agent_options.cache.bytes_max = options.cache_max_mib << 20;
  agent_options.log = MakeLogSink(options.quiet ? LogLevel::kWarning : LogLevel::kInfo);
  agent_options.log_format = ParseLogFormat(options.log).value();
  const SystemClock clock;
  const EventLog log(agent_options.log_format, clock, agent_options.log);
  BuilderSettings build;
  build.tracker = absl::StrJoin(options.trackers, ",");
  build.tls_dir = options.tls_dir;
  build.name = AgentName(options);
  build.boot = static_cast<uint64_t>(clock.UnixMillis());
  build.workers = options.build;
  build.program =
      options.build_worker.empty() ? Sibling("hone-build-worker") : options.build_worker;
  std::optional<CertificateKeeper> keeper;
  if (!options.tls_dir.empty() && !IsUnixSocket(TrackerOf(options))) {
    keeper.emplace(absl::StrJoin(options.trackers, ","), TlsFolder(options.tls_dir),
                   [&log](const Status& status) {
                     if (status.ok()) {
                       log.Write(Event::kCertificateRenewed, {});
                     } else {
                       log.Write(Event::kCertificateFailed, {{"why", status.message()}});
                     }
                   });
  }
  std::unique_ptr<Builder> builder;
  if (options.build_only) {
    HONE_ASSIGN_OR_RETURN(builder, Builder::Start(context, build, log));
    const IdleEnd idle_end(context, options, clock, nullptr, builder.get());
    context.run();
    if (builder->status().ok()) builder->HandBack(kHandBackMax);
    return builder->status();
  }
  HONE_ASSIGN_OR_RETURN(const std::vector<DeviceSpec> devices, DeviceSpecs(options));
  HONE_ASSIGN_OR_RETURN(const SandboxReport sandbox, DescribeSandbox(options));
  for (const DeviceSpec& spec : devices) {
    AgentDeviceOptions& device = agent_options.devices.emplace_back();
    device.info = DescribeDevice(options, sandbox, spec);
    device.sandbox = sandbox.level;
    device.cpus = spec.cpus;
    device.worker_program = WorkerProgram(options);
    device.sysroot = options.sysroot;
    device.log = agent_options.log;
    device.log_format = agent_options.log_format;
    device.gate.wait_max_ns = int64_t{options.gate_wait_s} * 1'000'000'000;
    if (!options.spool.empty()) device.canary_path = CanaryPath(options.spool, spec.name);
  }
  log.Write(Event::kAgentStarted, {{"agent", agent_options.name},
                                   {"tracker", TrackerOf(options)},
                                   {"devices", static_cast<int64_t>(devices.size())}});
  HONE_ASSIGN_OR_RETURN(const std::unique_ptr<Agent> agent,
                        Agent::Start(context, clock, std::move(agent_options)));
  if (options.build > 0) {
    HONE_ASSIGN_OR_RETURN(builder, Builder::Start(context, build, log));
  }
  const IdleEnd idle_end(context, options, clock, agent.get(), builder.get());
  context.run();
  if (builder != nullptr && builder->status().ok()) builder->HandBack(kHandBackMax);
  if (agent->status().ok()) agent->HandBack(kHandBackMax);
  log.Write(Event::kAgentStopped, {{"agent", AgentName(options)}});
  if (builder != nullptr) HONE_RETURN_IF_ERROR(builder->status());
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
    const StatusOr<SandboxReport> sandbox = DescribeSandbox(options);
    if (!sandbox.ok()) {
      std::cerr << "hone-agent: " << std::string(sandbox.status().message()) << std::endl;
      return 1;
    }
    PrintProbe(DescribeDevice(options, *sandbox, {.name = AgentName(options)}));
    return 0;
  }
  signal(SIGPIPE, SIG_IGN);
  Status status;
  if (app.got_subcommand("join")) {
    status = Join(options);
  } else if (options.print) {
    status = PrintDevices(options);
  } else {
    status = CompleteTls(options);
    if (status.ok()) status = Serve(options);
  }
  if (status.ok()) return 0;
  std::cerr << "hone-agent: " << std::string(status.message()) << std::endl;
  return 1;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) { return hone::Main(argc, argv); }
