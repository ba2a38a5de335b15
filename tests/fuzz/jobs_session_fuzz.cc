// Clients, daemons and workers before the tracker's mind about tuning jobs, in any order, legal or
// not: an epoch of a job goes to one daemon, epochs only rise, a job that has ended stays so, and
// nothing is answered before the database has it.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "tracker/job_state.h"
#include "tracker/wire_rules.h"

namespace hone {
namespace {

constexpr int kEventsMax = 200;
constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kUnixMs = 1'700'000'000'000;

class Jobs {
 public:
  explicit Jobs(FuzzedDataProvider& input) : input_(input) { Restart(); }

  void Run() {
    for (int i = 0; i < kEventsMax && input_.remaining_bytes() > 0; ++i) {
      Step();
      Look();
    }
  }

 private:
  int Pick(int below) { return input_.ConsumeIntegralInRange<int>(0, below - 1); }

  // The tracker is killed: what was not saved is lost.
  void Restart() {
    std::vector<pb::Job> stored;
    for (const auto& [id, job] : saved_) stored.push_back(job);
    state_.emplace(JobLimits{.open_jobs_max = 6, .ended_jobs_max = 4}, std::move(stored),
                   /*first_revision=*/revision_ += 1000);
    saving_.clear();
    claims_.clear();
  }

  void Feed(JobEvent event) {
    for (JobEffect& effect :
         state_->Step(std::move(event), now_ns_, kUnixMs + now_ns_ / 1'000'000)) {
      if (auto* save = std::get_if<SaveJob>(&effect)) {
        saving_.push_back(std::move(save->job));
      } else if (auto* answer = std::get_if<AnswerJobCall>(&effect)) {
        SeeAnswer(*answer);
      }
    }
  }

  void SeeAnswer(const AnswerJobCall& answer) {
    if (!answer.reply.ok()) return;
    const auto* claimed = std::get_if<pb::ClaimJobReply>(&*answer.reply);
    if (claimed == nullptr || !claimed->has_job()) return;
    const pb::Job& job = claimed->job();
    const auto saved = saved_.find(job.id());
    HONE_CHECK(saved != saved_.end() && saved->second.epoch() == job.epoch())
        << "given out before it was written down";
    const auto claim = claims_.find(answer.call);
    HONE_CHECK(claim != claims_.end());
    const auto [holder, first] = holders_.try_emplace({job.id(), job.epoch()}, claim->second);
    HONE_CHECK(first || holder->second == claim->second) << "an epoch of two daemons";
  }

  // The first of what waits reaches the database, or does not.
  void Save(bool well) {
    if (saving_.empty()) return;
    pb::Job job = std::move(saving_.front());
    saving_.pop_front();
    const int64_t id = job.id();
    if (well) saved_[id] = std::move(job);
    Feed(JobSavedEvent{id, well ? absl::OkStatus() : absl::UnavailableError("disk full")});
  }

  void Step() {
    ++call_;
    switch (Pick(9)) {
      case 0:
      case 1:
        return Submit();
      case 2:
        return Feed(CancelJobEvent{call_, Pick(8)});
      case 3:
      case 4:
        return Claim();
      case 5:
        return Keep();
      case 6:
        return End();
      case 7:
        if (Pick(6) == 0) return Restart();
        now_ns_ += Pick(40) * kSecond;
        return Feed(JobTickEvent{});
      case 8:
        for (int count = Pick(6); count > 0; --count) Save(Pick(8) != 0);
        return;
    }
  }

  void Submit() {
    pb::SubmitJobRequest request;
    if (Pick(6) == 0) {
      if (!request.ParseFromString(input_.ConsumeRandomLengthString(256))) return;
    } else {
      request.set_request_id(absl::StrCat("r", Pick(8)));
      pb::JobSpec& spec = *request.mutable_spec();
      spec.set_user(absl::StrCat("u", Pick(2)));
      spec.set_model("m.onnx");
      spec.set_numerics("fp32");
      spec.set_model_digest(std::string(64, 'a'));
      spec.set_priority(Pick(3));
      spec.set_trials(1 + Pick(3));
      spec.set_threads(1);
    }
    if (!CheckJob(request.spec()).ok()) return;
    Feed(SubmitJobEvent{call_, std::move(request)});
  }

  void Claim() {
    pb::ClaimJobRequest request;
    if (Pick(6) == 0) {
      if (!request.ParseFromString(input_.ConsumeRandomLengthString(64))) return;
    } else {
      request.set_daemon(absl::StrCat("d", Pick(3)));
      request.set_boot(static_cast<uint64_t>(1 + Pick(3)));
      request.set_jobs_max(Pick(3));
      for (int count = Pick(3); count > 0; --count) request.add_running(Pick(8));
    }
    if (!CheckClaim(request).ok()) return;
    claims_[call_] = absl::StrCat(request.daemon(), ":", request.boot());
    Feed(ClaimJobEvent{call_, std::move(request)});
  }

  uint64_t EpochOf(int64_t id) {
    const pb::Job* job = state_->Find(id);
    if (job == nullptr || Pick(4) == 0) return static_cast<uint64_t>(Pick(5));
    return job->epoch();
  }

  void Keep() {
    pb::KeepJobRequest request;
    if (Pick(6) == 0) {
      if (!request.ParseFromString(input_.ConsumeRandomLengthString(128))) return;
    } else {
      request.set_id(Pick(8));
      request.set_epoch(EpochOf(request.id()));
      request.set_farm_client("f");
      for (int count = Pick(3); count > 0; --count) request.add_kernels(absl::StrCat("k", Pick(3)));
      request.mutable_progress()->set_elapsed_s(Pick(100));
    }
    Feed(KeepJobEvent{call_, std::move(request)});
  }

  void End() {
    pb::EndJobRequest request;
    if (Pick(6) == 0) {
      if (!request.ParseFromString(input_.ConsumeRandomLengthString(64))) return;
    } else {
      request.set_id(Pick(8));
      request.set_epoch(EpochOf(request.id()));
      request.set_phase(static_cast<pb::JobPhase>(Pick(6)));
      request.set_crashed(Pick(2) == 0);
    }
    Feed(EndJobEvent{call_, std::move(request)});
  }

  void Look() {
    std::map<std::string, int64_t> tuned_by;
    for (const pb::Job* job : state_->Jobs()) {
      uint64_t& epoch = epochs_[job->id()];
      const auto saved = saved_.find(job->id());
      if (saved != saved_.end() && saved->second.epoch() >= epoch) epoch = saved->second.epoch();
      (void)state_->WhyQueued(job->id(), now_ns_);
      (void)state_->WhySilent(job->id(), now_ns_);
      if (IsEnded(*job)) continue;
      for (const std::string& kernel : job->kernels()) {
        const auto [other, first] = tuned_by.try_emplace(kernel, job->id());
        HONE_CHECK(first || other->second == job->id()) << "two jobs tune " << kernel;
      }
    }
    for (const auto& [id, job] : saved_) {
      HONE_CHECK(job.epoch() >= epochs_[id]) << "an epoch went back";
      if (IsEnded(job)) ended_.try_emplace(id, job.phase());
      const auto ended = ended_.find(id);
      HONE_CHECK(ended == ended_.end() || ended->second == job.phase()) << "it had ended";
    }
    (void)state_->Daemons(now_ns_);
  }

  FuzzedDataProvider& input_;
  std::optional<JobState> state_;
  int64_t now_ns_ = 1000 * kSecond;
  uint64_t call_ = 0;
  uint64_t revision_ = 0;
  std::deque<pb::Job> saving_;
  std::map<int64_t, pb::Job> saved_;
  std::map<uint64_t, std::string> claims_;                       // by call: the daemon
  std::map<std::pair<int64_t, uint64_t>, std::string> holders_;  // of an epoch of a job
  std::map<int64_t, uint64_t> epochs_;
  std::map<int64_t, pb::JobPhase> ended_;
};

}  // namespace
}  // namespace hone

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  hone::Jobs(input).Run();
  return 0;
}
