#include "tests/chaos/judgement.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "db/sqlite_record_store.h"
#include "tests/chaos/program_log.h"
#include "tests/chaos/store_history.h"

namespace hone {
namespace {

using Act = HistoryEvent::Act;

// Batch and device -> the epochs under which the device reported the batch, as agents say
// themselves.
using ReportedEpochs = std::map<std::pair<std::string, std::string>, std::set<uint64_t>>;

ReportedEpochs FindReportedEpochs(const Evidence& evidence) {
  ReportedEpochs epochs;
  for (const std::string& log : evidence.agent_logs) {
    for (const nlohmann::json& event : EventsOf(log, "batch.measured")) {
      epochs[{event.value("batch", ""), event.value("device", "")}].insert(
          event.value("epoch", uint64_t{0}));
    }
  }
  for (const HistoryEvent& event : evidence.told) {
    if (event.act == Act::kReport) epochs[{event.batch, event.device}].insert(event.epoch);
  }
  return epochs;
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

// What everybody saw, in the order of time, as the invariants take it.
std::vector<HistoryEvent> Merge(const Evidence& evidence, const StoreHistory& store,
                                const ReportedEpochs& reported) {
  std::vector<HistoryEvent> merged;
  for (HistoryEvent event : store.events) {
    if (event.act == Act::kCommit) {
      if (!evidence.clients.contains(event.batch.substr(0, event.batch.rfind('-')))) continue;
      // The store says under which epoch the device was then; who reported it, under which it did.
      const auto epochs = reported.find({event.batch, event.device});
      if (epochs != reported.end() && !epochs->second.contains(event.epoch)) {
        event.epoch = *epochs->second.rbegin();
      }
    }
    merged.push_back(std::move(event));
  }
  // The store's times are those of the beginning of a transaction, in whole milliseconds: where
  // they are the same, it was first.
  merged.insert(merged.end(), evidence.told.begin(), evidence.told.end());
  std::stable_sort(merged.begin(), merged.end(), [](const HistoryEvent& a, const HistoryEvent& b) {
    return a.time_ns < b.time_ns;
  });
  // Orders that came late say nothing of the lease of now.
  std::map<std::string, uint64_t> safe;
  std::erase_if(merged, [&](const HistoryEvent& event) {
    if (event.act == Act::kEpoch) safe[event.device] = event.epoch;
    return event.act == Act::kLease && event.epoch < safe[event.device];
  });
  return merged;
}

}  // namespace

Judgement Judge(const Evidence& evidence) {
  Judgement judgement;
  const auto store = ReadStoreHistory(evidence.database);
  const auto records = SqliteRecordStore::Open({.path = evidence.database});
  for (const Status& status : {store.status(), records.status()}) {
    if (!status.ok()) judgement.violations.emplace_back(status.message());
  }
  if (!store.ok() || !records.ok()) return judgement;
  judgement.outcomes = store->outcomes;
  judgement.records = store->records;
  judgement.violations = store->contradictions;
  const ReportedEpochs reported = FindReportedEpochs(evidence);
  judgement.in_vain = CountInVain(reported);
  judgement.stale = static_cast<int64_t>(EventsOf(evidence.tracker_log, "report.stale").size());
  Invariants invariants;
  for (const HistoryEvent& event : Merge(evidence, *store, reported)) invariants.See(event);
  invariants.CheckEnd();
  invariants.CheckStore(**records);
  judgement.violations.insert(judgement.violations.end(), invariants.violations().begin(),
                              invariants.violations().end());
  return judgement;
}

}  // namespace hone
