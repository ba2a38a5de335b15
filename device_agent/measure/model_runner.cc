#include "device_agent/measure/model_runner.h"

#include <string.h>
#include <time.h>

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/cpus.h"
#include "base/median.h"
#include "device_agent/measure/agreement.h"
#include "device_agent/measure/guarded_buffer.h"
#include "device_agent/measure/kernel_process.h"
#include "device_agent/measure/model_host.h"

namespace hone {
namespace {

constexpr int kWarmUpRuns = 2;
constexpr int64_t kRunsMin = 5;
constexpr int64_t kRunsMax = 1'000'000;  // whose times are kept
constexpr int64_t kStepsMax = 1 << 16;
constexpr double kOrderNs = 50e6;  // runs between two looks at the clock and at the model's claims
constexpr size_t kReplyBytes = 1 << 20;
// Times that are not borne out are taken again so often.
constexpr int kClaimsMax = 5;
// What is CPU time beside the runs: reading the clock, and the time of each step.
constexpr double kAroundRunNs = 200;
constexpr double kAroundStepNs = 10;
// Of a run on one thread; less says nothing.
constexpr double kLostShareNoted = 0.02;

int64_t MonotonicNanos() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
}

class ModelRunner {
 public:
  ModelRunner(const pb::Batch& batch, const ModelRunnerOptions& options)
      : batch_(batch),
        run_(batch.model()),
        options_(options),
        threads_(std::clamp(run_.threads(), 1, static_cast<int>(AllowedCpus().size()))) {}

  // The bytes have to be taken from the agent, whether there is memory for them or not.
  Status TakeBytes(int64_t bytes_to_come) {
    std::vector<GuardedBuffer*> wanted = {&package_};
    inputs_.resize(static_cast<size_t>(run_.inputs_size()));
    for (GuardedBuffer& input : inputs_) wanted.push_back(&input);
    Allocate(run_.package().bytes(), GuardedBuffer::Sharing::kPrivate, &package_);
    for (int i = 0; i < run_.inputs_size(); ++i) {
      Allocate(run_.inputs(i).data().bytes(), GuardedBuffer::Sharing::kPrivate,
               &inputs_[static_cast<size_t>(i)]);
    }
    size_t at = 0;  // the buffer to fill, and how far it is
    int64_t filled = 0;
    while (bytes_to_come > 0) {
      HONE_ASSIGN_OR_RETURN(const std::string bytes, options_.next_bytes());
      bytes_to_come -= static_cast<int64_t>(bytes.size());
      if (measurement_.failure() != pb::OK) continue;
      for (size_t taken = 0; taken < bytes.size();) {
        while (at < wanted.size() && filled == wanted[at]->bytes()) {
          ++at;
          filled = 0;
        }
        if (at == wanted.size()) return absl::DataLossError("a model of more bytes than it has");
        const size_t count =
            std::min(bytes.size() - taken, static_cast<size_t>(wanted[at]->bytes() - filled));
        memcpy(static_cast<char*>(wanted[at]->data()) + filled, bytes.data() + taken, count);
        taken += count;
        filled += static_cast<int64_t>(count);
      }
    }
    return absl::OkStatus();
  }

  void Run() {
    AllocateResults();
    if (measurement_.failure() == pb::OK) {
      if (threads_ == 1) options_.core->Enter();
      RunInProcess();
      process_.reset();
      if (threads_ == 1) options_.core->Leave();
    }
    if (measurement_.failure() == pb::OK) ReplyWithResults();
  }

  // The last reply. `gone`: whether nothing is left of the process.
  void Finish(const Status& gone) {
    if (!gone.ok()) Fail(pb::INFRA, std::string(gone.message()));
    pb::MeasureReply reply;
    *reply.mutable_model()->mutable_measurement() = std::move(measurement_);
    *reply.mutable_model()->mutable_result() = std::move(result_);
    options_.reply(reply);
  }

 private:
  void Allocate(int64_t bytes, GuardedBuffer::Sharing sharing, GuardedBuffer* buffer) {
    if (measurement_.failure() != pb::OK) return;
    auto allocated = GuardedBuffer::Allocate(bytes, nullptr, sharing);
    if (allocated.ok()) {
      *buffer = *std::move(allocated);
    } else {
      Fail(pb::OUT_OF_MEMORY, std::string(allocated.status().message()));
    }
  }

  void AllocateResults() {
    constexpr GuardedBuffer::Sharing kShared = GuardedBuffer::Sharing::kShared;
    if (!run_.has_timing()) {
      outputs_.resize(static_cast<size_t>(run_.output_bytes_size()));
      for (int i = 0; i < run_.output_bytes_size(); ++i)
        Allocate(run_.output_bytes(i), kShared, &outputs_[static_cast<size_t>(i)]);
    }
    const int64_t runs =
        run_.timing().runs() > 0 ? std::min(run_.timing().runs(), kRunsMax) : kRunsMax;
    Allocate(run_.has_timing() ? runs * int64_t{sizeof(int64_t)} : 0, kShared, &run_ns_);
    Allocate(run_.timing().profile() ? kStepsMax * int64_t{sizeof(int64_t)} : 0, kShared,
             &step_ns_);
    Allocate(sizeof(ModelPage), kShared, &page_memory_);
    if (measurement_.failure() == pb::OK) page_ = new (page_memory_.data()) ModelPage;
  }

  void RunInProcess() {
    KernelProcessOptions options;
    options.sandbox = options_.sandbox;
    options.threads = threads_;
    options.timeout_ms = batch_.timeout_ms();
    const auto host = [&](WatchPage& watch) {
      ModelHostOptions model;
      model.run = &run_;
      model.package = &package_;
      model.inputs = &inputs_;
      model.outputs = &outputs_;
      model.run_ns = &run_ns_;
      model.step_ns = &step_ns_;
      model.page = page_;
      model.watch = &watch;
      model.threads = threads_;
      model.lock_down = [this] { return options_.sandbox->LockDown(); };
      HostModel(kOrdersFd, model);
    };
    auto process = KernelProcess::Start(1, host, options);
    if (!process.ok()) return Fail(pb::INFRA, std::string(process.status().message()));
    process_ = *std::move(process);
    if (process_->loaded().empty()) return FailAsEnded();
    result_.set_threads(page_->threads.load());
    if (const Status& loaded = process_->loaded()[0]; !loaded.ok()) {
      return FailAsRefused(std::string(loaded.message()));
    }
    if (run_.has_timing()) {
      Time();
    } else {
      Carry(Order());
    }
  }

  // nullopt when the process ended or the model refused; then the measurement says so.
  std::optional<Answer> Carry(const Order& order) {
    const std::optional<Answer> answer = process_->Carry(order);
    if (!answer.has_value()) {
      FailAsEnded();
      return std::nullopt;
    }
    if (answer->status == 0) return answer;
    FailAsRefused(answer->text);
    return std::nullopt;
  }

  void Time() {
    double estimate_ns = 0;
    for (int i = 0; i < kWarmUpRuns; ++i) {
      const std::optional<Answer> answer = Carry(Order());
      if (!answer.has_value()) return;
      estimate_ns = std::max(answer->run_ns[0], 1.0);
    }
    const int64_t start_ns = MonotonicNanos();
    const int64_t budget_ns = run_.timing().budget_ms() * 1'000'000;
    const int64_t room = run_ns_.bytes() / int64_t{sizeof(int64_t)};
    int claims = 0;
    while (true) {
      const auto count = static_cast<int64_t>(times_.size());
      const bool enough = run_.timing().runs() > 0
                              ? count >= run_.timing().runs()
                              : count >= kRunsMin && MonotonicNanos() - start_ns >= budget_ns;
      if (enough || count >= room) break;
      Order order;
      order.kind = OrderKind::kVisit;
      order.samples = 1;
      order.runs_per_sample = static_cast<int32_t>(
          std::clamp<int64_t>(static_cast<int64_t>(kOrderNs / estimate_ns), 1, room - count));
      // What it takes back it has no room for.
      page_->timed.store(count);
      std::optional<Answer> answer = Carry(order);
      if (!answer.has_value()) return;
      const std::string why = TakeTimes(order, *answer);
      if (why.empty()) {
        estimate_ns = std::max(answer->run_ns[0], 1.0);
      } else if (++claims == kClaimsMax) {
        return Fail(pb::FORGED, absl::StrCat("its times cannot be true: ", why));
      }
    }
    Describe();
  }

  // Why the times of an order cannot be true; else takes them and returns "".
  std::string TakeTimes(const Order& order, Answer answer) {
    const auto* const told = static_cast<const int64_t*>(run_ns_.data()) + times_.size();
    const std::vector<int64_t> times(told, told + order.runs_per_sample);
    double sum_ns = 0;
    for (const int64_t ns : times) {
      if (ns < 0) return "a run of less than no time";
      sum_ns += static_cast<double>(ns);
    }
    answer.run_ns[0] = std::max(sum_ns, 1.0) / order.runs_per_sample;
    const double steps = std::clamp<double>(page_->steps.load(), 0, kStepsMax);
    BesideRuns beside;
    beside.around_ns = order.runs_per_sample * (kAroundRunNs + steps * kAroundStepNs);
    const Seen& seen = process_->seen();
    const std::string why = Disagreement(order, answer, seen, threads_, beside);
    if (!why.empty()) return why;
    times_.insert(times_.end(), times.begin(), times.end());
    wall_ns_ += seen.wall_ns;
    cpu_ns_ += seen.cpu_ns;
    return "";
  }

  void Describe() {
    const std::vector<double> run_ns(times_.begin(), times_.end());
    const Interval interval = MedianInterval(run_ns);
    measurement_.set_cost_ns(*std::min_element(run_ns.begin(), run_ns.end()));
    measurement_.set_median_ns(Median(run_ns));
    measurement_.set_low_ns(interval.low);
    measurement_.set_high_ns(interval.high);
    measurement_.set_runs(static_cast<int32_t>(run_ns.size()));
    measurement_.set_visits(1);
    const double lost_share = wall_ns_ > 0 ? 1 - cpu_ns_ / wall_ns_ : 0;
    if (threads_ == 1 && lost_share > kLostShareNoted) {
      measurement_.set_not_quiet(true);
      measurement_.set_disturbance(
          absl::StrFormat("others had the core %.0f %% of the time", lost_share * 100));
    }
    const auto* const least = static_cast<const int64_t*>(step_ns_.data());
    const int64_t steps =
        std::clamp<int64_t>(page_->steps.load(), 0, step_ns_.bytes() / int64_t{sizeof(int64_t)});
    for (int64_t i = 0; i < steps; ++i) result_.add_step_ns(least[i]);
  }

  void ReplyWithResults() {
    for (size_t i = 0; i < outputs_.size(); ++i) {
      ReplyWith(static_cast<int>(i), static_cast<const char*>(outputs_[i].data()),
                static_cast<size_t>(outputs_[i].bytes()));
    }
    ReplyWith(-1, reinterpret_cast<const char*>(times_.data()), times_.size() * sizeof(int64_t));
  }

  void ReplyWith(int output, const char* data, size_t bytes) {
    for (size_t begin = 0; begin < bytes; begin += kReplyBytes) {
      pb::MeasureReply reply;
      reply.mutable_model_bytes()->set_output(output);
      reply.mutable_model_bytes()->set_data(data + begin, std::min(kReplyBytes, bytes - begin));
      options_.reply(reply);
    }
  }

  void FailAsEnded() {
    const KernelProcess::End& end = process_->end();
    Fail(end.failure == pb::OK ? pb::INFRA : end.failure, end.message);
  }

  // The library on this device would not load it, or a kernel said no.
  void FailAsRefused(std::string message) {
    result_.set_error_code(page_->error_code.load());
    Fail(pb::COMPILE_ERROR, std::move(message));
  }

  void Fail(pb::FailureKind failure, std::string message) {
    if (measurement_.failure() != pb::OK) return;
    measurement_.set_failure(failure);
    measurement_.set_message(std::move(message));
  }

  const pb::Batch& batch_;
  const pb::ModelRun& run_;
  const ModelRunnerOptions& options_;
  const int threads_;
  pb::Measurement measurement_;
  pb::ModelResult result_;
  GuardedBuffer package_;
  std::vector<GuardedBuffer> inputs_;
  std::vector<GuardedBuffer> outputs_;
  GuardedBuffer run_ns_;
  GuardedBuffer step_ns_;
  GuardedBuffer page_memory_;
  ModelPage* page_ = nullptr;               // in page_memory_
  std::unique_ptr<KernelProcess> process_;  // after the memory that it shares
  std::vector<int64_t> times_;              // that are borne out
  double wall_ns_ = 0;                      // of them
  double cpu_ns_ = 0;
};

}  // namespace

Status RunModel(const pb::Batch& batch, int64_t bytes_to_come, const ModelRunnerOptions& options) {
  ModelRunner runner(batch, options);
  HONE_RETURN_IF_ERROR(runner.TakeBytes(bytes_to_come));
  runner.Run();
  const Status gone = options.sandbox->KillLeftovers();
  runner.Finish(gone);
  return gone;
}

}  // namespace hone
