#include "db/memory_record_store.h"

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "db/record_rules.h"
#include "db/security_rules.h"

namespace hone {
namespace {

bool HasKey(const pb::Record& record, const RecordKey& key) {
  return record.workload_key() == key.workload_key && record.target() == key.target &&
         record.numerics() == key.numerics && record.codegen_epoch() == key.codegen_epoch;
}

bool IsOk(const pb::Record& record) { return record.measurement().failure() == pb::OK; }
bool Counts(const pb::Record& record) { return IsOk(record) && !IsTainted(record); }

bool Passes(const pb::Record& record, const RecordFilter& filter) {
  const auto is = [](const auto& wanted, const auto& got) { return !wanted || *wanted == got; };
  return is(filter.workload_key, record.workload_key()) && is(filter.target, record.target()) &&
         is(filter.numerics, record.numerics()) &&
         is(filter.codegen_epoch, record.codegen_epoch()) &&
         is(filter.failure, record.measurement().failure()) &&
         is(filter.device, record.measurement().device()) && is(filter.tainted, IsTainted(record));
}

}  // namespace

Status MemoryRecordStore::Append(absl::Span<const pb::Record> records) {
  absl::MutexLock lock(&mutex_);
  return AppendLocked(records);
}

Status MemoryRecordStore::AppendLocked(absl::Span<const pb::Record> records) {
  for (const pb::Record& record : records) HONE_RETURN_IF_ERROR(CheckRecord(record));
  for (const pb::Record& record : records) {
    const bool known = !record.batch_id().empty() &&
                       !places_.emplace(record.batch_id(), record.candidate()).second;
    if (known) continue;
    records_.push_back(record);
    records_.back().set_id(static_cast<int64_t>(records_.size()));
  }
  return absl::OkStatus();
}

StatusOr<std::optional<pb::Record>> MemoryRecordStore::Best(
    const RecordKey& key, const std::optional<std::string>& layouts) const {
  absl::MutexLock lock(&mutex_);
  const pb::Record* best = nullptr;
  for (const pb::Record& record : records_) {
    if (!HasKey(record, key) || !Counts(record)) continue;
    if (layouts && *layouts != record.layouts()) continue;
    if (best == nullptr || IsBetterRecord(record, *best)) best = &record;
  }
  if (best == nullptr) return std::optional<pb::Record>();
  return std::optional<pb::Record>(*best);
}

StatusOr<std::vector<pb::Record>> MemoryRecordStore::BestPerLayouts(const RecordKey& key) const {
  absl::MutexLock lock(&mutex_);
  std::map<std::string, const pb::Record*> best;
  for (const pb::Record& record : records_) {
    if (!HasKey(record, key) || !Counts(record)) continue;
    const pb::Record*& place = best[record.layouts()];
    if (place == nullptr || IsBetterRecord(record, *place)) place = &record;
  }
  std::vector<pb::Record> result;
  for (const auto& [layouts, record] : best) result.push_back(*record);
  return result;
}

StatusOr<std::vector<pb::Record>> MemoryRecordStore::History(const RecordKey& key) const {
  absl::MutexLock lock(&mutex_);
  std::vector<pb::Record> result;
  for (const pb::Record& record : records_) {
    if (HasKey(record, key)) result.push_back(record);
  }
  return result;
}

StatusOr<std::vector<pb::Record>> MemoryRecordStore::AllForTarget(absl::string_view target,
                                                                  int64_t limit) const {
  return Query({.target = std::string(target),
                .failure = pb::OK,
                .tainted = false,
                .newest_first = true,
                .limit = limit});
}

StatusOr<std::vector<pb::Record>> MemoryRecordStore::Query(const RecordFilter& filter) const {
  absl::MutexLock lock(&mutex_);
  std::vector<pb::Record> result;
  for (size_t i = 0; i < records_.size(); ++i) {
    const size_t index = filter.newest_first ? records_.size() - 1 - i : i;
    if (!Passes(records_[index], filter)) continue;
    if (filter.limit > 0 && static_cast<int64_t>(result.size()) == filter.limit) break;
    result.push_back(records_[index]);
  }
  return result;
}

StatusOr<std::vector<RecordSummary>> MemoryRecordStore::Summarize() const {
  absl::MutexLock lock(&mutex_);
  std::vector<RecordSummary> result;
  std::map<std::tuple<std::string, std::string, std::string, int>, size_t> places;
  for (const pb::Record& record : records_) {
    const auto [place, added] = places.try_emplace(
        {record.workload_key(), record.target(), record.numerics(), record.codegen_epoch()},
        result.size());
    if (added) {
      result.push_back({.key = {record.workload_key(), record.target(), record.numerics(),
                                record.codegen_epoch()},
                        .workload = record.workload()});
    }
    RecordSummary& summary = result[place->second];
    ++summary.records;
    summary.latest_unix_ms = std::max(summary.latest_unix_ms, record.measurement().unix_ms());
    if (!IsOk(record)) {
      ++summary.failures;
    } else if (IsTainted(record)) {
      continue;
    } else if (!summary.best_cost_ns || record.measurement().cost_ns() < *summary.best_cost_ns) {
      summary.best_cost_ns = record.measurement().cost_ns();
    }
  }
  return result;
}

StatusOr<std::map<std::string, uint64_t>> MemoryRecordStore::LoadEpochs() const {
  absl::MutexLock lock(&mutex_);
  return epochs_;
}

StatusOr<std::vector<JournaledBatch>> MemoryRecordStore::LoadBatches() const {
  absl::MutexLock lock(&mutex_);
  std::vector<JournaledBatch> batches;
  for (const auto& [order, batch] : batches_) batches.push_back(batch);
  return batches;
}

std::vector<JournalOutcome> MemoryRecordStore::Write(absl::Span<const JournalEntry> entries) {
  absl::MutexLock lock(&mutex_);
  std::vector<JournalOutcome> outcomes;
  for (const JournalEntry& entry : entries) {
    outcomes.push_back(std::visit(
        [this](const auto& e) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return Do(e); }, entry));
  }
  return outcomes;
}

JournalOutcome MemoryRecordStore::Do(const EpochEntry& entry) {
  uint64_t& saved = epochs_[entry.device];
  if (saved >= entry.epoch) return {EpochNotAbove(entry, saved)};
  saved = entry.epoch;
  return {};
}

JournalOutcome MemoryRecordStore::CheckUnfinished(const std::string& batch_id) {
  const auto found = results_.find(batch_id);
  if (found == results_.end()) return {};
  return {AlreadyFinished(batch_id), found->second};
}

JournalOutcome MemoryRecordStore::Do(const BatchEntry& entry) {
  if (JournalOutcome outcome = CheckUnfinished(entry.batch_id); !outcome.status.ok()) {
    return outcome;
  }
  if (!order_of_.try_emplace(entry.batch_id, next_order_).second) return {};
  batches_[next_order_++] = {entry.client_id, entry.batch_id, entry.batch};
  return {};
}

JournalOutcome MemoryRecordStore::Do(const GrantEntry& entry) {
  const auto order = order_of_.find(entry.batch_id);
  if (order == order_of_.end()) return {};
  batches_[order->second].device = entry.device;
  batches_[order->second].epoch = entry.epoch;
  return {};
}

JournalOutcome MemoryRecordStore::Do(const OutcomeEntry& entry) {
  const std::string& batch_id = entry.result.batch_id();
  if (const Status status = CheckBatchResult(entry.result); !status.ok()) return {status};
  if (JournalOutcome outcome = CheckUnfinished(batch_id); !outcome.status.ok()) return outcome;
  if (!entry.device.empty() && epochs_[entry.device] != entry.epoch) {
    return {EpochPassed(entry, epochs_[entry.device])};
  }
  if (const Status status = AppendLocked(entry.records); !status.ok()) return {status};
  results_[batch_id] = entry.result;
  return Do(ForgetEntry{batch_id});
}

JournalOutcome MemoryRecordStore::Do(const ForgetEntry& entry) {
  const auto order = order_of_.find(entry.batch_id);
  if (order == order_of_.end()) return {};
  batches_.erase(order->second);
  order_of_.erase(order);
  return {};
}

JournalOutcome MemoryRecordStore::Do(const TaintEntry& entry) {
  const pb::Taint& taint = entry.taint;
  if (const Status status = CheckTaint(taint); !status.ok()) return {status};
  for (pb::Record& record : records_) {
    pb::Measurement& m = *record.mutable_measurement();
    if (m.device() != entry.device || IsTainted(record)) continue;
    if (m.unix_ms() < taint.since_unix_ms() || m.unix_ms() > taint.until_unix_ms()) continue;
    m.set_taint(taint.reason());
  }
  return {};
}

StatusOr<pb::FarmPolicy> MemoryRecordStore::LoadPolicy() const {
  absl::MutexLock lock(&mutex_);
  return policy_;
}

Status MemoryRecordStore::SavePolicy(const pb::FarmPolicy& policy) {
  absl::MutexLock lock(&mutex_);
  policy_ = policy;
  return absl::OkStatus();
}

StatusOr<std::optional<pb::BatchResult>> MemoryRecordStore::FindBatchResult(
    absl::string_view batch_id) const {
  absl::MutexLock lock(&mutex_);
  const auto found = results_.find(std::string(batch_id));
  if (found == results_.end()) return std::optional<pb::BatchResult>();
  return std::optional<pb::BatchResult>(found->second);
}

// --- Security

Status MemoryRecordStore::AddJoinToken(const pb::JoinToken& token) {
  absl::MutexLock lock(&mutex_);
  return tokens_.try_emplace(token.digest(), token, false).second ? absl::OkStatus()
                                                                  : TokenIsThere();
}

StatusOr<pb::JoinToken> MemoryRecordStore::TakeJoinToken(absl::string_view digest,
                                                         int64_t unix_ms) {
  absl::MutexLock lock(&mutex_);
  const auto found = tokens_.find(std::string(digest));
  if (found == tokens_.end()) return NoSuchToken();
  auto& [token, used] = found->second;
  HONE_RETURN_IF_ERROR(CheckUsable(token, used, unix_ms));
  used = true;
  return token;
}

StatusOr<int64_t> MemoryRecordStore::CountJoinTokens(int64_t unix_ms) const {
  absl::MutexLock lock(&mutex_);
  int64_t count = 0;
  for (const auto& [digest, token] : tokens_) {
    count += !token.second && token.first.expires_unix_ms() > unix_ms;
  }
  return count;
}

Status MemoryRecordStore::AppendAudit(absl::Span<const pb::AuditEntry> entries) {
  absl::MutexLock lock(&mutex_);
  HONE_RETURN_IF_ERROR(CheckFollows(static_cast<int64_t>(audit_.size()), entries));
  audit_.insert(audit_.end(), entries.begin(), entries.end());
  return absl::OkStatus();
}

StatusOr<std::vector<pb::AuditEntry>> MemoryRecordStore::ReadAudit(int64_t after,
                                                                   int64_t limit) const {
  absl::MutexLock lock(&mutex_);
  const auto size = static_cast<int64_t>(audit_.size());
  const int64_t from = std::clamp<int64_t>(after, 0, size);
  const int64_t to = from + std::clamp<int64_t>(limit, 0, size - from);
  return std::vector<pb::AuditEntry>(audit_.begin() + from, audit_.begin() + to);
}

StatusOr<std::optional<pb::AuditEntry>> MemoryRecordStore::LastAudit() const {
  absl::MutexLock lock(&mutex_);
  if (audit_.empty()) return std::optional<pb::AuditEntry>();
  return std::optional<pb::AuditEntry>(audit_.back());
}

// --- Jobs

StatusOr<std::vector<pb::Job>> MemoryRecordStore::LoadJobs() const {
  absl::MutexLock lock(&mutex_);
  std::vector<pb::Job> jobs;
  for (const auto& [id, job] : jobs_) jobs.push_back(job);
  return jobs;
}

Status MemoryRecordStore::SaveJob(const pb::Job& job) {
  absl::MutexLock lock(&mutex_);
  const auto stored = jobs_.find(job.id());
  if (stored != jobs_.end() && stored->second.epoch() > job.epoch()) {
    return absl::FailedPreconditionError(
        absl::StrCat("job ", job.id(), " is stored under a higher epoch than ", job.epoch()));
  }
  jobs_[job.id()] = job;
  return absl::OkStatus();
}

Status MemoryRecordStore::AppendModel(absl::string_view digest, int64_t offset,
                                      absl::string_view data) {
  absl::MutexLock lock(&mutex_);
  std::string& model = models_[std::string(digest)];
  if (offset != static_cast<int64_t>(model.size())) {
    return absl::FailedPreconditionError(absl::StrCat(
        "of model ", digest, " there are ", model.size(), " bytes, the piece is for ", offset));
  }
  model.append(data.data(), data.size());
  return absl::OkStatus();
}

StatusOr<int64_t> MemoryRecordStore::ModelBytes(absl::string_view digest) const {
  absl::MutexLock lock(&mutex_);
  const auto model = models_.find(digest);
  return model == models_.end() ? 0 : static_cast<int64_t>(model->second.size());
}

StatusOr<std::string> MemoryRecordStore::ReadModel(absl::string_view digest, int64_t offset) const {
  absl::MutexLock lock(&mutex_);
  const auto model = models_.find(digest);
  if (model == models_.end() || offset >= static_cast<int64_t>(model->second.size())) return "";
  return model->second.substr(offset);
}

Status MemoryRecordStore::DropModel(absl::string_view digest) {
  absl::MutexLock lock(&mutex_);
  const auto model = models_.find(digest);
  if (model != models_.end()) models_.erase(model);
  return absl::OkStatus();
}

// --- Builds

StatusOr<std::vector<pb::BuiltReply>> MemoryRecordStore::LoadBuilds() const {
  absl::MutexLock lock(&mutex_);
  return builds_;
}

Status MemoryRecordStore::SaveBuilds(absl::Span<const pb::BuiltReply> builds) {
  absl::MutexLock lock(&mutex_);
  for (const pb::BuiltReply& built : builds) {
    const auto known = std::find_if(builds_.begin(), builds_.end(), [&](const pb::BuiltReply& one) {
      return one.key() == built.key();
    });
    if (known == builds_.end()) {
      builds_.push_back(built);
    } else {
      *known = built;
    }
  }
  if (builds_.size() > kBuildsMax) builds_.erase(builds_.begin(), builds_.end() - kBuildsMax);
  return absl::OkStatus();
}

}  // namespace hone
