#include "tests/chaos/farm_user.h"

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/check.h"

namespace hone {
namespace {

using Act = HistoryEvent::Act;
using Kind = HistoryEvent::Kind;

constexpr absl::Duration kWait = absl::Milliseconds(100);

// The tracker said no; otherwise nobody can know.
bool IsRefusal(const Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsFailedPrecondition(status) ||
         absl::IsInvalidArgument(status) || absl::IsPermissionDenied(status);
}

}  // namespace

FarmUser::FarmUser(FarmUserOptions options, HistoryLog& log)
    : options_(std::move(options)), log_(log), random_(static_cast<uint32_t>(options_.seed)) {
  thread_ = std::thread([this] { Run(); });
}

FarmUser::~FarmUser() {
  stopping_ = true;
  thread_.join();
}

std::string FarmUser::client_id() const {
  absl::MutexLock lock(&mutex_);
  return client_id_;
}

void FarmUser::Run() {
  while (client_ == nullptr && !stopping_) {
    auto client = FarmClient::Connect(options_.farm);
    if (client.ok()) client_ = *std::move(client);
  }
  if (client_ != nullptr) {
    absl::MutexLock lock(&mutex_);
    client_id_ = client_->client_id();
  }
  while (!stopping_) {
    if (finishing_ && waiting_.empty()) break;
    const bool room = static_cast<int>(waiting_.size()) < options_.outstanding_max;
    if (!finishing_ && room && absl::Now() >= next_submit_) {
      Submit();
      continue;
    }
    Fetch();
  }
  done_ = true;
}

void FarmUser::Submit() {
  if (options_.batches_per_s > 0) {
    std::exponential_distribution<double> pause(options_.batches_per_s);
    next_submit_ = absl::Now() + absl::Seconds(pause(random_));
  }
  const pb::Batch batch = options_.next_batch(random_);
  // As the client numbers them: also one whose fate is not known is to be found again.
  const std::string id = absl::StrCat(client_->client_id(), "-", ++calls_);
  const auto see = [&](Kind kind, std::string outcome) {
    log_.Add({.act = Act::kSubmit,
              .kind = kind,
              .process = options_.name,
              .batch = id,
              .user = options_.name,
              .outcome = std::move(outcome)});
  };
  see(Kind::kInvoke, "");
  const auto submitted = client_->Submit(batch);
  if (submitted.ok()) {
    HONE_CHECK(*submitted == id) << *submitted << " is not " << id;
    see(Kind::kOk, "");
    waiting_[id] = false;
    ++submitted_;
    if (std::bernoulli_distribution(options_.cancels)(random_)) CancelOne();
    return;
  }
  ++refused_;
  // What nobody knows the fate of nobody fetches.
  see(Kind::kFail, absl::StatusCodeToString(submitted.status().code()));
  if (!IsRefusal(submitted.status())) client_->Cancel({id}).IgnoreError();
}

void FarmUser::CancelOne() {
  auto one = waiting_.begin();
  std::advance(one, static_cast<int>(random_() % waiting_.size()));
  if (one->second) return;
  const auto see = [&](Kind kind) {
    log_.Add({.act = Act::kCancel, .kind = kind, .process = options_.name, .batch = one->first});
  };
  see(Kind::kInvoke);
  const Status status = client_->Cancel({one->first});
  see(status.ok() ? Kind::kOk : Kind::kInfo);
  if (!status.ok()) return;
  one->second = true;
  ++cancelled_;
}

void FarmUser::Fetch() {
  const auto results = client_->WaitForResults(kWait);
  if (!results.ok() || waiting_.empty()) {
    absl::SleepFor(absl::Milliseconds(20));
    return;
  }
  for (const pb::BatchResult& result : *results) {
    log_.Add({.act = Act::kFetch,
              .kind = Kind::kOk,
              .process = options_.name,
              .batch = result.batch_id(),
              .outcome = result.error().empty() ? "measured" : result.error()});
    waiting_.erase(result.batch_id());
    ++fetched_;
  }
}

}  // namespace hone
