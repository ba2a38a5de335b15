// TrackerServer: a tracker in one object: journal, shell, services and the listening socket. Run by
// the program hone-tracker, and by tests within their own process.
#pragma once

#include <memory>
#include <string>

#include "base/blob_store.h"
#include "base/clock.h"
#include "base/event_log.h"
#include "base/status.h"
#include "db/farm_database.h"
#include "tracker/build_state.h"
#include "tracker/farm_state.h"
#include "tracker/job_state.h"

namespace hone {

struct TrackerOptions {
  std::string listen;  // "unix:/path" or "host:port"; port 0 takes a free one
  std::string web;     // where page and metrics are (web_server.h); "" for nowhere
  // Of certificates (rpc/credentials.h), without which only addresses on this machine are usable.
  std::string tls_dir;
  // Where those who join are taken in, while there are tokens: 0 for the port after that of
  // `listen` (a free one if that is 0).
  int join_port = 0;
  // Under way at a time, of one identity (rpc/call_counts.h).
  int member_calls_max = 1'000;
  FarmLimits limits;
  EventLog::Sink log;  // null: nothing is logged
  LogFormat log_format = LogFormat::kText;
  BlobStoreOptions blobs;  // where artifacts are kept
  BuildLimits builds;
  JobLimits job_limits;
};

class TrackerServer {
 public:
  // Listens when it returns. Both must outlive the server. Errors: the address is not usable, or in
  // use; the folder of blobs cannot be used.
  static StatusOr<std::unique_ptr<TrackerServer>> Start(const TrackerOptions& options,
                                                        FarmDatabase& database, const Clock& clock);
  // Says goodbye to agents and clients, who come back to the next tracker.
  ~TrackerServer();

  // What to connect to: `listen`, with the port that was taken.
  const std::string& address() const;
  // Of the page (WebServer::url); "" if there is none.
  std::string web_url() const;
  // Ten times a second.
  void Tick();

 private:
  class Impl;
  explicit TrackerServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone
