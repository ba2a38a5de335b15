// PostgresLeadership: which of several trackers on one PostgreSQL database leads: who holds a lock
// that belongs to a session. The server lets go of it when the session ends, also when its process
// is stopped and says nothing; each leader gets a term, above all before, under which it writes
// (PostgresRecordStore). Only the tracker uses it; starts no thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "db/postgres_session.h"

namespace hone {

struct PostgresLeadershipOptions {
  std::string url;
  // Where the leader is reached, told to those who ask others.
  std::string address;
  // A leader that does not Poll for so long has lost the lead.
  std::chrono::milliseconds silence_max{5'000};
};

class PostgresLeadership {
 public:
  // Errors as PostgresSession::Connect: what will not pass by itself is said here.
  static StatusOr<std::unique_ptr<PostgresLeadership>> Open(
      const PostgresLeadershipOptions& options);
  // Lets go of the lead: another takes it at once.
  ~PostgresLeadership();

  // Takes the lead if nobody has it, or finds out whether it is still held; to be called at least
  // four times within `silence_max`. While it leads nobody, the database may be out of reach
  // (Unavailable), or made by a newer hone (FailedPrecondition). The lead is lost with any error.
  Status Poll();
  // The same, as far as can be told without waiting: false once the server has hung up.
  bool StillLeads();

  // Lets go of the lead, if it is held.
  void Resign();

  // Under which this process leads; 0 while it does not.
  uint64_t term() const { return term_; }
  // Of the leader, when there is one and it is another.
  const std::string& leader() const { return leader_; }

 private:
  explicit PostgresLeadership(const PostgresLeadershipOptions& options);
  Status Connect();
  Status CheckTerm();
  Status TryToLead();
  Status BeginTerm();
  Status AskWhoLeads();
  void Lose();

  const PostgresLeadershipOptions options_;
  const PostgresSessionOptions session_options_;
  std::unique_ptr<PostgresSession> session_;  // null while there is none
  uint64_t term_ = 0;
  std::string leader_;
};

}  // namespace hone
