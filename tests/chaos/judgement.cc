#include "tests/chaos/judgement.h"

#include <limits>
#include <map>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/inlined_vector.h"
#include "db/sqlite_record_store.h"
#include "tests/chaos/program_log.h"
#include "tests/chaos/store_history.h"

namespace hone {
namespace {

using Act = HistoryEvent::Act;

// Batch and device -> the epochs under which the device reported the batch, as agents say
// themselves; hardly ever more than one.
using Epochs = absl::InlinedVector<uint64_t, 1>;
using ReportedEpochs = std::map<std::pair<std::string, std::string>, Epochs>;

void Note(Epochs& epochs, uint64_t epoch) {
  if (!absl::c_linear_search(epochs, epoch)) epochs.push_back(epoch);
}

ReportedEpochs FindReportedEpochs(const Evidence& evidence) {
  ReportedEpochs reported;
  for (const std::string& log : evidence.agent_logs) {
    ForEachEvent(log, "batch.measured", [&](const nlohmann::json& event) {
      Note(reported[{event.value("batch", ""), event.value("device", "")}],
           event.value("epoch", uint64_t{0}));
    });
  }
  HistoryLog::Reader told(*evidence.told);
  while (const HistoryEvent* event = told.Next()) {
    if (event->act == Act::kReport) Note(reported[{event->batch, event->device}], event->epoch);
  }
  return reported;
}

int64_t CountInVain(const ReportedEpochs& reported) {
  std::set<std::string> batches;
  size_t attempts = 0;
  for (const auto& [attempt, epochs] : reported) {
    batches.insert(attempt.first);
    attempts += epochs.size();
  }
  return static_cast<int64_t>(attempts - batches.size());
}

// Shows the invariants what everybody saw, in the order of time, as they take it: the store's
// events as they come, and before each what others were told until then.
class Merge {
 public:
  Merge(const Evidence& evidence, const ReportedEpochs& reported, Invariants& invariants)
      : evidence_(evidence),
        reported_(reported),
        invariants_(invariants),
        told_(*evidence.told),
        next_told_(told_.Next()) {}

  void SeeStore(HistoryEvent event) {
    if (event.act == Act::kCommit) {
      if (!evidence_.clients.contains(event.batch.substr(0, event.batch.rfind('-')))) return;
      // The store says under which epoch the device was then; who reported it, under which it did.
      const auto epochs = reported_.find({event.batch, event.device});
      if (epochs != reported_.end() && !absl::c_linear_search(epochs->second, event.epoch)) {
        event.epoch = *absl::c_max_element(epochs->second);
      }
    }
    // The store's times are those of the beginning of a transaction, in whole milliseconds: where
    // they are the same, it was first.
    SeeTold(event.time_ns);
    if (event.act == Act::kEpoch) safe_[event.device] = event.epoch;
    invariants_.See(event);
  }
  // What was told before.
  void SeeTold(int64_t before_ns) {
    for (; next_told_ != nullptr && next_told_->time_ns < before_ns; next_told_ = told_.Next()) {
      // Orders that came late say nothing of the lease of now.
      if (next_told_->act == Act::kLease && next_told_->epoch < safe_[next_told_->device]) continue;
      invariants_.See(*next_told_);
    }
  }

 private:
  const Evidence& evidence_;
  const ReportedEpochs& reported_;
  Invariants& invariants_;
  HistoryLog::Reader told_;
  const HistoryEvent* next_told_;
  std::map<std::string, uint64_t> safe_;  // epochs, by device
};

}  // namespace

Judgement Judge(const Evidence& evidence) {
  Judgement judgement;
  const ReportedEpochs reported = FindReportedEpochs(evidence);
  judgement.in_vain = CountInVain(reported);
  ForEachEvent(evidence.tracker_log, "report.stale",
               [&](const nlohmann::json&) { ++judgement.stale; });
  Invariants invariants;
  Merge merge(evidence, reported, invariants);
  const auto store = ReadStoreHistory(
      evidence.database, [&](HistoryEvent event) { merge.SeeStore(std::move(event)); });
  const auto records = SqliteRecordStore::Open({.path = evidence.database});
  for (const Status& status : {store.status(), records.status()}) {
    if (!status.ok()) judgement.violations.emplace_back(status.message());
  }
  if (!store.ok() || !records.ok()) return judgement;
  merge.SeeTold(std::numeric_limits<int64_t>::max());
  judgement.outcomes = store->outcomes;
  judgement.records = store->records;
  judgement.violations = store->contradictions;
  invariants.CheckEnd();
  invariants.CheckStore(**records);
  judgement.violations.insert(judgement.violations.end(), invariants.violations().begin(),
                              invariants.violations().end());
  return judgement;
}

}  // namespace hone
