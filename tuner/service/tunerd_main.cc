// hone-tunerd: takes tuning jobs from a tracker and tunes. Prints one line when it is ready, and
// works until SIGTERM or SIGINT, or until the process that it serves (--parent-pid) is gone.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/event_log.h"
#include "base/idle_watch.h"
#include "base/selector.h"
#include "base/status.h"
#include "base/stop_signals.h"
#include "rpc/address.h"
#include "rpc/log_sink.h"
#include "rpc/sibling_program.h"
#include "rpc/tracker_line.h"
#include "tuner/service/front_door.h"
#include "tuner/service/job_process.h"
#include "tuner/service/job_worker.h"
#include "tuner/service/tuning_daemon.h"

namespace hone {
namespace {

constexpr int64_t kTickMs = 500;

struct Options {
  TuningDaemonOptions daemon;
  std::string listen;
  std::string log = "text";
  bool quiet = false;
  int until_idle_s = 0;  // 0: for ever
  int parent_pid = 0;
  bool worker = false;
};

enum ExitCode { kOk = 0, kFailed = 1, kBadArguments = 2, kUnreachable = kExitUnreachable };

std::string DefaultTracker() {
  const char* tracker = std::getenv("HONE_TRACKER");
  return tracker == nullptr ? "127.0.0.1:7710" : tracker;
}

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 && name[0] != '\0' ? name : "daemon";
}

void Declare(CLI::App& app, Options& options) {
  options.daemon.tracker = DefaultTracker();
  options.daemon.name = HostName();
  app.add_option(
         "--tracker", options.daemon.tracker,
         "The tracker whose jobs are done: unix:/path or host:port; several with commas, of "
         "which one leads")
      ->capture_default_str();
  app.add_option(
      "--tls-dir", options.daemon.tls_dir,
      "Folder of certificates of role `daemon`, for a tracker on another machine (default: "
      "$HONE_TLS_DIR)");
  app.add_option("--name", options.daemon.name, "Name of this daemon, unique in the farm")
      ->capture_default_str()
      ->check([](const std::string& word) {
        return Selector::IsWord(word)
                   ? ""
                   : "'" + word + "' is no word; letters, digits and _ - . / : make one";
      });
  app.add_option("--jobs", options.daemon.jobs_max, "Jobs that it works on at a time")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  app.add_option("--listen", options.listen,
                 "Also take jobs here, and pass them to the tracker: unix:/path or host:port");
  app.add_option("--log", options.log, "How events are logged to stderr, one a line: text or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"text", "json"}));
  app.add_flag("--quiet", options.quiet, "Log warnings and errors only");
  app.add_option("--until-idle", options.until_idle_s,
                 "End after so many seconds without a job, as a daemon on a cluster should")
      ->check(CLI::Range(1, 7 * 24 * 3600));
  app.add_option("--parent-pid", options.parent_pid,
                 "End when this process is no longer the parent");
  app.add_flag("--worker", options.worker)->group("");  // for the daemon itself
  app.footer(
      "Start as many as there are hosts to spare; each dials the tracker and takes jobs from it:\n"
      "  hone-tunerd --tracker farm:7710\n"
      "  hone submit model.onnx --tracker farm:7710\n"
      "A daemon keeps nothing: when it ends, however it ends, another goes on with its jobs from\n"
      "what was measured.\n"
      "Exit codes: 0 ended by a signal or --until-idle, 1 refused by the tracker, or cannot "
      "listen, 2 wrong "
      "arguments.");
}

ExitCode Fail(ExitCode code, const Status& status) {
  std::cerr << "hone-tunerd: " << std::string(status.message()) << std::endl;
  return code;
}

ExitCode Work(const Options& options) {
  const StatusOr<pb::Job> job = TakeJob();
  if (!job.ok()) return Fail(kBadArguments, job.status());
  const SystemClock clock;
  const Status status = WorkOnJob({.tracker = options.daemon.tracker,
                                   .tls_dir = options.daemon.tls_dir,
                                   .build_worker = SiblingProgram("hone-build-worker")},
                                  *job, clock);
  if (status.ok()) return kOk;
  // A tracker whose disk is full hears of no end either.
  const bool unheard = absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
  return Fail(unheard ? kUnreachable : kFailed, status);
}

std::vector<std::string> WorkerArguments(const Options& options) {
  std::vector<std::string> arguments = {"--worker", "--tracker", options.daemon.tracker};
  if (!options.daemon.tls_dir.empty()) {
    arguments.insert(arguments.end(), {"--tls-dir", options.daemon.tls_dir});
  }
  return arguments;
}

void CompleteTls(Options& options) {
  if (!options.daemon.tls_dir.empty() || AreOnThisMachine(options.daemon.tracker)) return;
  if (const char* folder = std::getenv("HONE_TLS_DIR")) options.daemon.tls_dir = folder;
}

ExitCode Serve(Options options) {
  const StopSignals stop(options.parent_pid);
  const Status address =
      ParseTrackers(options.daemon.tracker, !options.daemon.tls_dir.empty()).status();
  if (!address.ok()) return Fail(kBadArguments, address);
  options.daemon.boot = static_cast<uint64_t>(SystemClock().UnixMillis());
  std::error_code error;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe", error);
  const SystemClock clock;
  const EventLog log(ParseLogFormat(options.log).value(), clock,
                     MakeLogSink(options.quiet ? LogLevel::kWarning : LogLevel::kInfo));
  const auto daemon = TuningDaemon::Start(
      options.daemon,
      [&](const pb::Job& job) { return StartJobProgram(self, WorkerArguments(options), job); },
      log);
  if (!daemon.ok()) return Fail(kFailed, daemon.status());
  std::unique_ptr<FrontDoor> door;
  if (!options.listen.empty()) {
    auto opened = FrontDoor::Open(options.listen, options.daemon.tracker, options.daemon.tls_dir);
    if (!opened.ok()) return Fail(kFailed, opened.status());
    door = *std::move(opened);
  }
  std::cout << "hone-tunerd ready: " << options.daemon.name << ", for the tracker at "
            << options.daemon.tracker
            << (door == nullptr ? "" : absl::StrCat(", listens at ", door->address())) << std::endl;
  log.Write(Event::kDaemonStarted,
            {{"daemon", options.daemon.name}, {"address", door == nullptr ? "" : door->address()}});
  IdleWatch watch(int64_t{options.until_idle_s} * 1'000'000'000, clock.MonotonicNanos());
  while (!stop.Wait(kTickMs)) {
    const Status status = (*daemon)->Tick();
    if (!status.ok()) return Fail(kFailed, status);
    const bool idle =
        watch.Update(!(*daemon)->IsIdle(), (*daemon)->taken(), clock.MonotonicNanos());
    if (idle && options.until_idle_s != 0) break;
  }
  log.Write(Event::kDaemonStopped, {{"daemon", options.daemon.name}});
  return kOk;
}

ExitCode Main(int argc, char** argv) {
  CLI::App app("Takes tuning jobs from a tracker and tunes.", "hone-tunerd");
  Options options;
  Declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kBadArguments;
  }
  signal(SIGPIPE, SIG_IGN);
  CompleteTls(options);
  return options.worker ? Work(options) : Serve(options);
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) { return hone::Main(argc, argv); }
