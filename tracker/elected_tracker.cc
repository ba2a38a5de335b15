#include "tracker/elected_tracker.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

// Within the longest silence of a leader.
constexpr int kPollsInSilence = 5;

// It passes by itself, or when a person sees to it: until then another may lead.
bool MayPass(const Status& status) {
  return absl::IsUnavailable(status) || absl::IsAborted(status) ||
         absl::IsResourceExhausted(status) || absl::IsPermissionDenied(status);
}

}  // namespace

ElectedTracker::ElectedTracker(const ElectedTrackerOptions& options, const Clock& clock)
    : options_(options),
      clock_(clock),
      log_(options.tracker.log_format, clock, options.tracker.log) {}

// The server goes before the lead does: what it still writes is under its term.
ElectedTracker::~ElectedTracker() {
  server_.reset();
  store_.reset();
  standby_.reset();
}

StatusOr<std::unique_ptr<ElectedTracker>> ElectedTracker::Start(
    const ElectedTrackerOptions& options, const Clock& clock) {
  std::unique_ptr<ElectedTracker> tracker(new ElectedTracker(options, clock));
  HONE_RETURN_IF_ERROR(tracker->Listen());
  return tracker;
}

Status ElectedTracker::Listen() {
  // First of all the port, for the address that others are told.
  HONE_ASSIGN_OR_RETURN(standby_,
                        StandbyServer::Start(options_.tracker.listen, options_.tracker.tls_dir));
  options_.tracker.listen = standby_->address();
  if (options_.reached_at.empty()) options_.reached_at = options_.tracker.listen;
  HONE_ASSIGN_OR_RETURN(leadership_,
                        PostgresLeadership::Open({.url = options_.database,
                                                  .address = options_.reached_at,
                                                  .silence_max = options_.silence_max}));
  return Poll();
}

Status ElectedTracker::Tick() {
  if (leads()) {
    if (!leadership_->StillLeads()) {
      HONE_RETURN_IF_ERROR(StandBy(absl::UnavailableError("the database has hung up")));
    } else {
      server_->Tick();
    }
  }
  const int64_t now_ns = clock_.MonotonicNanos();
  if (now_ns < next_poll_ns_) return absl::OkStatus();
  next_poll_ns_ = now_ns + std::chrono::nanoseconds(options_.silence_max).count() / kPollsInSilence;
  return Poll();
}

Status ElectedTracker::Poll() {
  const std::string leader = leadership_->leader();
  const Status status = leadership_->Poll();
  if (!status.ok()) {
    if (leads()) HONE_RETURN_IF_ERROR(StandBy(status));
    standby_->SetLeader("");
    if (!told_of_trouble_) log_.Write(Event::kJournalFailed, {{"why", status.message()}});
    told_of_trouble_ = true;
    return MayPass(status) ? absl::OkStatus() : status;
  }
  if (told_of_trouble_) log_.Write(Event::kJournalRecovered, {});
  told_of_trouble_ = false;
  if (leads()) return absl::OkStatus();
  if (leadership_->term() != 0) return Lead();
  standby_->SetLeader(leadership_->leader());
  if (leadership_->leader() != leader) {
    log_.Write(Event::kTrackerFollows, {{"leader", leadership_->leader()}});
  }
  return absl::OkStatus();
}

Status ElectedTracker::Lead() {
  log_.Write(Event::kTrackerLeads, {{"term", static_cast<int64_t>(leadership_->term())}});
  StatusOr<std::unique_ptr<PostgresRecordStore>> store = PostgresRecordStore::Open(
      {.url = options_.database, .term = leadership_->term(), .idle_max = options_.silence_max});
  Status status = store.status();
  if (status.ok()) {
    store_ = *std::move(store);
    standby_.reset();  // its port is wanted
    StatusOr<std::unique_ptr<TrackerServer>> server =
        TrackerServer::Start(options_.tracker, *store_, clock_);
    status = server.status();
    if (status.ok()) server_ = *std::move(server);
  }
  if (status.ok()) return absl::OkStatus();
  HONE_RETURN_IF_ERROR(StandBy(status));
  return MayPass(status) ? absl::OkStatus() : status;
}

// Nothing that was granted meanwhile counts: it could not be written.
Status ElectedTracker::StandBy(const Status& why) {
  log_.Write(Event::kTrackerFollows, {{"why", why.message()}});
  server_.reset();
  store_.reset();
  leadership_->Resign();
  if (standby_ != nullptr) return absl::OkStatus();
  HONE_ASSIGN_OR_RETURN(standby_,
                        StandbyServer::Start(options_.tracker.listen, options_.tracker.tls_dir));
  return absl::OkStatus();
}

}  // namespace hone
