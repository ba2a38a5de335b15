// ElectedTracker: one of several trackers on one PostgreSQL database: a TrackerServer while it
// leads, a StandbyServer while another does. Run by the program hone-tracker, and by tests within
// their own process. Whether it leads is decided by db/postgres_leadership alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/event_log.h"
#include "base/status.h"
#include "db/postgres_leadership.h"
#include "db/postgres_record_store.h"
#include "tracker/standby_server.h"
#include "tracker/tracker_server.h"

namespace hone {

struct ElectedTrackerOptions {
  TrackerOptions tracker;
  std::string database;  // "postgresql://..."
  // Where agents, clients and the other trackers reach this one: "" for where it listens.
  std::string reached_at;
  // A leader of which nothing is heard for so long is replaced.
  std::chrono::milliseconds silence_max{5'000};
};

class ElectedTracker {
 public:
  // Listens when it returns, and leads if nobody did. The clock must outlive it. Errors: those of
  // PostgresLeadership::Open and Poll, and of TrackerServer::Start.
  static StatusOr<std::unique_ptr<ElectedTracker>> Start(const ElectedTrackerOptions& options,
                                                         const Clock& clock);
  // Another leads at once.
  ~ElectedTracker();

  // Ten times a second: takes the lead when it is free, stops at once when it is lost. A database
  // that is out of reach is no error; a newer hone's is, or an address that is in use by now.
  Status Tick();

  bool leads() const { return server_ != nullptr; }
  const std::string& address() const { return options_.tracker.listen; }
  std::string web_url() const { return leads() ? server_->web_url() : ""; }

 private:
  ElectedTracker(const ElectedTrackerOptions& options, const Clock& clock);

  Status Listen();
  Status Poll();
  Status Lead();
  Status StandBy(const Status& why);

  ElectedTrackerOptions options_;  // `listen` with the port that was taken
  const Clock& clock_;
  const EventLog log_;
  int64_t next_poll_ns_ = 0;
  bool told_of_trouble_ = false;
  std::unique_ptr<PostgresLeadership> leadership_;
  // Either the latter two, or the first.
  std::unique_ptr<StandbyServer> standby_;
  std::unique_ptr<PostgresRecordStore> store_;
  std::unique_ptr<TrackerServer> server_;
};

}  // namespace hone
