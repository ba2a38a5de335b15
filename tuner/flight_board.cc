#include "tuner/flight_board.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace hone {
namespace {

// How long to wait for builders, or the farm, alone; and while the other may answer first.
constexpr absl::Duration kWaitForBuilds = absl::Milliseconds(50);
constexpr absl::Duration kWaitForResults = absl::Milliseconds(100);
constexpr absl::Duration kWaitForEither = absl::Milliseconds(5);

}  // namespace

// Answers of the builders, from any thread.
struct FlightBoard::Mailbox {
  absl::Mutex mutex;
  std::vector<pb::BuildReply> replies ABSL_GUARDED_BY(mutex);

  void Put(pb::BuildReply reply) {
    absl::MutexLock lock(&mutex);
    replies.push_back(std::move(reply));
  }
  // Waits up to `timeout` for at least one.
  std::vector<pb::BuildReply> Take(absl::Duration timeout) {
    absl::MutexLock lock(&mutex);
    auto some = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) { return !replies.empty(); };
    mutex.AwaitWithTimeout(absl::Condition(&some), timeout);
    return std::exchange(replies, {});
  }
};

FlightBoard::FlightBoard(BuildCandidate build, Measurer& measurer)
    : build_(std::move(build)), measurer_(measurer), mailbox_(std::make_shared<Mailbox>()) {}

int FlightBoard::FlightsOf(int work) const {
  return static_cast<int>(std::count_if(flights_.begin(), flights_.end(),
                                        [&](const Flight& flight) { return flight.work == work; }));
}

int FlightBoard::CandidatesOf(int work) const {
  int count = 0;
  for (const Flight& flight : flights_) {
    if (flight.work == work) count += static_cast<int>(flight.proposals.size());
  }
  return count;
}

bool FlightBoard::AnyBuilding() const {
  return std::any_of(flights_.begin(), flights_.end(),
                     [](const Flight& flight) { return flight.IsBuilding(); });
}

bool FlightBoard::AnyMeasuring() const {
  return std::any_of(flights_.begin(), flights_.end(),
                     [](const Flight& flight) { return flight.IsMeasuring(); });
}

Flight& FlightBoard::Start(Flight flight, std::vector<pb::BuildRequest> requests) {
  flights_.push_back(std::move(flight));
  for (pb::BuildRequest& request : requests) {
    build_(std::move(request),
           [mailbox = mailbox_](pb::BuildReply reply) { mailbox->Put(std::move(reply)); });
  }
  return flights_.back();
}

Flight* FlightBoard::Find(int id) {
  const auto at = std::find_if(flights_.begin(), flights_.end(),
                               [&](const Flight& flight) { return flight.id == id; });
  return at == flights_.end() ? nullptr : &*at;
}

Status FlightBoard::Submit(Flight* flight) {
  HONE_ASSIGN_OR_RETURN(flight->batch_id, measurer_.Submit(flight->batch));
  return absl::OkStatus();
}

std::vector<pb::BuildReply> FlightBoard::TakeBuilds(absl::Duration patience) {
  if (!AnyBuilding()) return {};
  if (OldestArrived()) patience = absl::ZeroDuration();
  return mailbox_->Take(std::min(patience, AnyMeasuring() ? kWaitForEither : kWaitForBuilds));
}

Status FlightBoard::TakeResults(absl::Duration patience) {
  if (!AnyMeasuring()) return absl::OkStatus();
  if (OldestArrived()) patience = absl::ZeroDuration();
  HONE_ASSIGN_OR_RETURN(
      std::vector<pb::BatchResult> results,
      measurer_.Wait(std::min(patience, AnyBuilding() ? kWaitForEither : kWaitForResults)));
  for (pb::BatchResult& result : results) {
    for (Flight& flight : flights_) {
      if (!flight.IsMeasuring() || flight.batch_id != result.batch_id()) continue;
      flight.result = std::move(result);
      break;
    }
  }
  return absl::OkStatus();
}

Flight FlightBoard::TakeOldest() {
  Flight oldest = std::move(flights_.front());
  flights_.pop_front();
  return oldest;
}

void FlightBoard::CancelAll() {
  std::vector<std::string> ids;
  for (const Flight& flight : flights_) {
    if (!flight.batch_id.empty()) ids.push_back(flight.batch_id);
  }
  // Everything measured is kept by the farm already; that the rest is dropped late harms nobody.
  if (!ids.empty()) measurer_.Cancel(ids).IgnoreError();
  flights_.clear();
}

}  // namespace hone
