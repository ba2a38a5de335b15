// hone-tracker: who measures what, when. Prints one line when it is ready, and serves until SIGTERM
// or SIGINT, or until the process that it serves (--parent-pid) is gone.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/quick_mutexes.h"
#include "base/status.h"
#include "base/stop_signals.h"
#include "db/postgres_session.h"
#include "db/sqlite_record_store.h"
#include "rpc/address.h"
#include "rpc/log_sink.h"
#include "tracker/elected_tracker.h"
#include "tracker/farm_authority.h"
#include "tracker/tracker_server.h"

namespace hone {
namespace {

constexpr int64_t kTickMs = 100;

struct Options {
  TrackerOptions tracker = {.listen = "127.0.0.1:7710"};
  SqliteOpenOptions database = {.path = "hone.db", .mode = SqliteOpenOptions::Mode::kWrite};
  std::string blobs;
  int64_t blobs_max_mib = 4096;
  // Of several on one PostgreSQL database.
  std::string reached_at;
  int silence_max_ms = 5'000;
  int parent_pid = 0;
  std::string log = "text";
  bool quiet = false;
  // Of init-tls.
  std::string new_folder;
  NewFarm new_farm;
};

void Declare(CLI::App& app, Options& options) {
  app.add_option("--listen", options.tracker.listen,
                 "Where clients and agents connect: unix:/path or host:port (off this machine only "
                 "with --tls-dir)")
      ->capture_default_str();
  app.add_option("--tls-dir", options.tracker.tls_dir,
                 "Folder of certificates (see init-tls): speak TLS, to members of the farm alone");
  app.add_option("--join-port", options.tracker.join_port,
                 "Where those with a token join, while there are tokens (default: the next port)")
      ->check(CLI::Range(0, 65535));
  app.add_option("--member-calls", options.tracker.member_calls_max,
                 "With --tls-dir: calls that one member may have under way at a time")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--db", options.database.path,
                 "The database of records: a file, made if missing, or "
                 "postgresql://USER@HOST/NAME, which several trackers share: one leads")
      ->capture_default_str();
  app.add_option("--reached-at", options.reached_at,
                 "With PostgreSQL: where others reach this tracker (default: as --listen, with the "
                 "host's name for all interfaces)");
  app.add_option("--leader-silence", options.silence_max_ms,
                 "With PostgreSQL: a leader of which nothing is heard for so many ms is replaced")
      ->capture_default_str()
      ->check(CLI::Range(500, 3'600'000));
  app.add_option("--blobs", options.blobs,
                 "Folder of artifacts (default: the database's name and .blobs; with PostgreSQL "
                 "hone-PORT.blobs)");
  app.add_option("--blobs-max", options.blobs_max_mib,
                 "MiB of artifacts kept, at most; those of queued work always are")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 30));
  app.add_option("--parent-pid", options.parent_pid,
                 "End when this process is no longer the parent");
  app.add_option("--purpose", options.database.holder,
                 "What the tracker runs for, told to others who want the same database");
  app.add_option(
      "--web", options.tracker.web,
      "Also serve a web page, metrics and health here: 127.0.0.1:9188 or unix:/path; with "
      "--tls-dir also 0.0.0.0:9188, to members of the farm");
  app.add_option("--log", options.log, "How events are logged to stderr, one a line: text or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"text", "json"}));
  app.add_flag("--quiet", options.quiet, "Log warnings and errors only");
  CLI::App* const init = app.add_subcommand(
      "init-tls", "Make the authority and the certificates of a new farm, and its first owner's");
  init->add_option("FOLDER", options.new_folder, "Where to: for --tls-dir; owner's in FOLDER/admin")
      ->required();
  init->add_option("--farm", options.new_farm.name, "Name of the farm")->capture_default_str();
  init->add_option("--admin", options.new_farm.admin, "Name of the first owner")
      ->capture_default_str();
  init->add_option(
      "--host", options.new_farm.hosts,
      "Host name or address of the tracker, for tools other than hone; may be repeated");
  app.footer(
      "Start one tracker for a farm, an agent on every device, and tune from anywhere:\n"
      "  hone-tracker --listen 127.0.0.1:7710 --db farm.db\n"
      "  hone-agent --tracker 127.0.0.1:7710\n"
      "  hone tune model.onnx --tracker 127.0.0.1:7710\n"
      "Between machines, with certificates:\n"
      "  hone-tracker init-tls /var/lib/hone/farm --admin ada\n"
      "  hone-tracker --listen 0.0.0.0:7710 --tls-dir /var/lib/hone/farm --db farm.db\n"
      "Several on one PostgreSQL database, of which one leads and the others take over:\n"
      "  hone-tracker --listen 10.0.0.1:7710 --tls-dir DIR --db postgresql://hone@db/farm\n"
      "  hone-agent --tracker 10.0.0.1:7710,10.0.0.2:7710\n"
      "Exit codes: 0 ended by a signal, 2 wrong arguments, 3 the database cannot be used, 4 cannot "
      "listen, 5 certificates cannot be made.");
}

enum ExitCode {
  kOk = 0,
  kBadArguments = 2,
  kBadDatabase = 3,
  kCannotListen = 4,
  kBadCertificates = 5
};

ExitCode Fail(ExitCode code, const Status& status) {
  std::cerr << "hone-tracker: " << status.message() << std::endl;
  return code;
}

// Until a signal ends it, the parent is gone, or `tick` fails.
template <typename Tick>
ExitCode TickOn(const StopSignals& stop, const Tick& tick) {
  while (!stop.Wait(kTickMs)) {
    if (const Status status = tick(); !status.ok()) return Fail(kBadDatabase, status);
  }
  return kOk;
}

// On a database of its own.
ExitCode ServeAlone(const Options& options, const StopSignals& stop) {
  const auto store = SqliteRecordStore::Open(options.database);
  if (!store.ok()) return Fail(kBadDatabase, store.status());
  TrackerOptions tracker = options.tracker;
  tracker.blobs.folder = options.blobs.empty() ? options.database.path + ".blobs" : options.blobs;
  const SystemClock clock;
  const auto server = TrackerServer::Start(tracker, **store, clock);
  if (!server.ok()) return Fail(kCannotListen, server.status());
  std::cout << "hone-tracker ready at " << (*server)->address() << ", database "
            << options.database.path;
  if (!options.tracker.web.empty()) std::cout << ", web page at " << (*server)->web_url();
  std::cout << std::endl;
  return TickOn(stop, [&] {
    (*server)->Tick();
    return absl::OkStatus();
  });
}

// "0.0.0.0:7710" is where it listens, and where nobody finds it.
std::string ReachedAt(const Options& options) {
  const std::string& listen = options.tracker.listen;
  const size_t colon = listen.rfind(':');
  const std::string host = listen.substr(0, colon);
  char name[256] = {};
  if (!options.reached_at.empty()) return options.reached_at;
  if ((host != "0.0.0.0" && host != "[::]") || gethostname(name, sizeof(name) - 1) != 0) return "";
  return name + listen.substr(colon);
}

// On a database that it shares with others.
ExitCode ServeElected(const Options& options, const StopSignals& stop) {
  ElectedTrackerOptions elected = {
      .tracker = options.tracker,
      .database = options.database.path,
      .reached_at = ReachedAt(options),
      .silence_max = std::chrono::milliseconds(options.silence_max_ms)};
  const std::string& listen = options.tracker.listen;
  elected.tracker.blobs.folder = !options.blobs.empty() ? options.blobs
                                 : IsUnixSocket(listen)
                                     ? listen.substr(listen.find(':') + 1) + ".blobs"
                                     : "hone-" + listen.substr(listen.rfind(':') + 1) + ".blobs";
  const SystemClock clock;
  const auto tracker = ElectedTracker::Start(elected, clock);
  if (!tracker.ok()) {
    return Fail(absl::IsInvalidArgument(tracker.status()) ? kBadArguments : kBadDatabase,
                tracker.status());
  }
  std::cout << "hone-tracker ready at " << (*tracker)->address() << ", database "
            << ShownPostgresUrl(options.database.path)
            << ((*tracker)->leads() ? ", leading" : ", standing by") << std::endl;
  return TickOn(stop, [&] { return (*tracker)->Tick(); });
}

ExitCode Serve(Options options) {
  const StopSignals stop(options.parent_pid);
  signal(SIGPIPE, SIG_IGN);

  options.tracker.log = MakeLogSink(options.quiet ? LogLevel::kWarning : LogLevel::kInfo);
  options.tracker.log_format = ParseLogFormat(options.log).value();
  options.tracker.blobs.bytes_max = options.blobs_max_mib << 20;
  // Before a database is made for nothing.
  const auto address = CheckAddress(options.tracker.listen, !options.tracker.tls_dir.empty());
  if (!address.ok()) return Fail(kCannotListen, address.status());
  return IsPostgresUrl(options.database.path) ? ServeElected(options, stop)
                                              : ServeAlone(options, stop);
}

ExitCode MakeCertificates(const Options& options) {
  const Status status =
      MakeFarm(TlsFolder(options.new_folder), options.new_farm, SystemClock().UnixMillis());
  if (!status.ok()) return Fail(kBadCertificates, status);
  std::cout << "made the authority of farm " << options.new_farm.name << " in "
            << options.new_folder << "\nNext: hone-tracker --listen 0.0.0.0:7710 --tls-dir "
            << options.new_folder << " --db FILE\nIts owner " << options.new_farm.admin
            << " uses `hone farm --tracker HOST:7710 --tls-dir " << options.new_folder << "/admin`"
            << std::endl;
  return kOk;
}

int Main(int argc, char** argv) {
  QuickMutexes();
  CLI::App app(
      "The tracker of a device farm: leases devices to batches of candidates, and keeps "
      "every measurement.",
      "hone-tracker");
  Options options;
  Declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kBadArguments;
  }
  if (app.got_subcommand("init-tls")) return MakeCertificates(options);
  return Serve(std::move(options));
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) { return hone::Main(argc, argv); }
