#include "tracker/audit_log.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/digest.h"
#include "rpc/audit_chain.h"
#include "rpc/permissions.h"

namespace hone {
namespace {

// While the store takes nothing, so much is kept for it; what comes then is counted with the last.
constexpr size_t kUnwrittenMax = 10'000;

// "Farm/Submit". Names that are no method's are not kept: anybody may make up as many as they like.
std::string ShortMethod(absl::string_view path) {
  if (FindMethodRule(path) == nullptr) return "unknown";
  absl::ConsumePrefix(&path, "/");
  absl::ConsumePrefix(&path, "hone.pb.");
  return std::string(path);
}

}  // namespace

StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(SecurityStore& store, const Clock& clock) {
  HONE_ASSIGN_OR_RETURN(const auto last, store.LastAudit());
  auto log = std::unique_ptr<AuditLog>(new AuditLog(store, clock));
  absl::MutexLock lock(&log->write_mutex_);
  if (last) {
    log->last_number_ = last->number();
    log->last_hash_ = last->hash();
  }
  return log;
}

void AuditLog::Note(const AuditedCall& call) {
  absl::MutexLock lock(&mutex_);
  Gathered& gathered =
      gathered_[{call.identity, ShortMethod(call.method), static_cast<int>(call.outcome)}];
  if (gathered.calls++ == 0) {
    gathered.unix_ms = clock_.UnixMillis();
    gathered.digests = call.request_digest;
  } else {
    gathered.digests = Digest(absl::StrCat(gathered.digests, call.request_digest));
  }
}

Status AuditLog::Write(const AuditedCall& call) {
  // What it could not write comes before this one all the same.
  Flush().IgnoreError();
  pb::AuditEntry entry =
      MakeEntry({call.identity, ShortMethod(call.method), static_cast<int>(call.outcome)},
                {.unix_ms = clock_.UnixMillis(), .calls = 1, .digests = call.request_digest});
  entry.set_what(call.what);
  absl::MutexLock lock(&write_mutex_);
  return Append({std::move(entry)});
}

Status AuditLog::Flush() {
  absl::MutexLock lock(&write_mutex_);
  std::map<Key, Gathered> gathered;
  {
    absl::MutexLock gathering(&mutex_);
    gathered.swap(gathered_);
  }
  std::vector<pb::AuditEntry> entries;
  for (const auto& [key, one] : gathered) entries.push_back(MakeEntry(key, one));
  return Append(std::move(entries));
}

pb::AuditEntry AuditLog::MakeEntry(const Key& key, const Gathered& gathered) const {
  pb::AuditEntry entry;
  entry.set_unix_ms(gathered.unix_ms);
  entry.set_identity(std::get<0>(key));
  entry.set_method(std::get<1>(key));
  entry.set_outcome(std::get<2>(key));
  entry.set_calls(gathered.calls);
  entry.set_request(gathered.digests);
  return entry;
}

Status AuditLog::Append(std::vector<pb::AuditEntry> entries) {
  for (pb::AuditEntry& entry : entries) {
    if (unwritten_.size() < kUnwrittenMax) {
      unwritten_.push_back(std::move(entry));
    } else {
      unwritten_.back().set_calls(unwritten_.back().calls() + entry.calls());
    }
  }
  if (unwritten_.empty()) return absl::OkStatus();
  int64_t number = last_number_;
  std::string hash = last_hash_;
  for (pb::AuditEntry& entry : unwritten_) {
    entry.set_number(++number);
    hash = AuditHash(hash, entry);
    entry.set_hash(hash);
  }
  HONE_RETURN_IF_ERROR(store_.AppendAudit(unwritten_));
  unwritten_.clear();
  last_number_ = number;
  last_hash_ = hash;
  return absl::OkStatus();
}

}  // namespace hone
