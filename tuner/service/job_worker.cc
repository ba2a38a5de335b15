#include "tuner/service/job_worker.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/digest.h"
#include "base/numerics.h"
#include "compiler/compile.h"
#include "compiler/model_source.h"
#include "compiler/schedule/schedule.h"
#include "db/memory_record_store.h"
#include "rpc/device_choice.h"
#include "rpc/farm_client.h"
#include "rpc/record_client.h"
#include "tuner/farm_tuning.h"
#include "tuner/service/job_keeper.h"
#include "tuner/transfer/recorded_knowledge.h"
#include "tuner/tuning_progress.h"

namespace hone {
namespace {

// Devices that nobody has seen may be on their way; so long they are waited for.
constexpr absl::Duration kUnmatchedMax = absl::Seconds(60);
constexpr absl::Duration kUnreachableMax = absl::Seconds(60);
constexpr absl::Duration kAskAgain = absl::Milliseconds(200);
constexpr absl::Duration kTellFor = absl::Seconds(30);

// A kernel on a kind of device, for whoever else tunes it.
std::string KernelName(const TuningTask& task, const Target& target, Numerics numerics) {
  return Digest(absl::StrCat(task.workload.Key(), "|", target.ToString(), "|",
                             NumericsName(numerics), "|",
                             BoundaryLayoutText(task.workload, task.layouts)));
}

TuningTask TaskOf(Workload workload) {
  TuningTask task{.name = "kernel", .workload = std::move(workload)};
  for (const Buffer& buffer : task.workload.buffers) {
    task.layouts.push_back(Layout::Identity(static_cast<int>(buffer.shape.size())));
  }
  return task;
}

class JobWork {
 public:
  JobWork(const JobWorkerOptions& options, const pb::Job& job, TrackerLine& line, JobClient& jobs,
          FarmClient& farm, JobKeeper& keeper, const Clock& clock)
      : options_(options),
        job_(job),
        spec_(job.spec()),
        line_(line),
        jobs_(jobs),
        farm_(farm),
        keeper_(keeper),
        clock_(clock) {}

  // Why the job ended, for people. Error: it failed; Aborted: it is another's.
  StatusOr<std::string> Run() {
    HONE_ASSIGN_OR_RETURN(numerics_, ParseNumerics(spec_.numerics()));
    std::string model;
    if (spec_.workload().empty()) {
      HONE_ASSIGN_OR_RETURN(
          model, Persistently([&] { return jobs_.DownloadModel(spec_.model_digest()); }));
      // An operator that is missing is not waited for.
      HONE_RETURN_IF_ERROR(PlanBytesAtTop(model, spec_.model(), Shapes(), Target()).status());
    }
    HONE_RETURN_IF_ERROR(AwaitDevice());
    HONE_RETURN_IF_ERROR(CheckNumerics(numerics_, target_));
    if (target_.threads != spec_.threads()) {
      return absl::InvalidArgumentError(
          absl::StrCat("device ", device_.name(), " measures kernels of ", target_.threads,
                       " threads, the job is for ", spec_.threads(), "; submit it with --threads ",
                       target_.threads, " or choose another device"));
    }
    HONE_RETURN_IF_ERROR(Plan(model));
    while (!left_.empty()) {
      if (TimeLeft() <= absl::ZeroDuration()) return "time is up";
      HONE_ASSIGN_OR_RETURN(const std::vector<size_t> granted, AskForKernels());
      if (granted.empty()) {
        absl::SleepFor(options_.interval);
        continue;
      }
      const Status tuned = Tune(granted);
      if (absl::IsResourceExhausted(tuned)) return NoRoomUntilTheEnd(tuned);
      HONE_RETURN_IF_ERROR(tuned);
      HONE_RETURN_IF_ERROR(keeper_.status());
    }
    return absl::StrJoin(troubles_, "; ");
  }

  const pb::TuningProgress& progress() const { return progress_; }

 private:
  std::vector<std::string> Shapes() const { return {spec_.shapes().begin(), spec_.shapes().end()}; }

  // Asks the tracker again and again while it is out of reach, as when it is started anew.
  template <typename Ask>
  std::invoke_result_t<const Ask&> Persistently(const Ask& ask) {
    const absl::Time deadline = absl::Now() + kUnreachableMax;
    while (true) {
      auto answer = ask();
      if (answer.ok() || !absl::IsUnavailable(answer.status()) || absl::Now() > deadline ||
          !keeper_.status().ok()) {
        return answer;
      }
      absl::SleepFor(kAskAgain);
    }
  }

  Status AwaitDevice() {
    const absl::Time begin = absl::Now();
    while (true) {
      HONE_RETURN_IF_ERROR(keeper_.status());
      HONE_ASSIGN_OR_RETURN(const FarmStatus farm,
                            Persistently([&] { return farm_.ListDevices(); }));
      StatusOr<pb::DeviceInfo> device = ChooseDevice(farm.devices, spec_.device());
      if (device.ok()) {
        device_ = *std::move(device);
        keeper_.WaitFor("");
        HONE_ASSIGN_OR_RETURN(target_, Target::Parse(device_.target()));
        return absl::OkStatus();
      }
      if (!absl::IsUnavailable(device.status()) && absl::Now() - begin > kUnmatchedMax) {
        return device.status();
      }
      keeper_.WaitFor(std::string(device.status().message()));
      absl::SleepFor(options_.interval);
    }
  }

  Status Plan(const std::string& model) {
    if (spec_.workload().empty()) {
      HONE_ASSIGN_OR_RETURN(const ModelPlan plan,
                            PlanBytesAtTop(model, spec_.model(), Shapes(), target_));
      tasks_ = TasksOf(plan);
      model_constant_bytes_ = ModelConstantBytes(plan);
    } else {
      HONE_ASSIGN_OR_RETURN(Workload workload, Workload::Parse(spec_.workload()));
      tasks_.push_back(TaskOf(std::move(workload)));
    }
    for (size_t t = 0; t < tasks_.size(); ++t) {
      names_.push_back(KernelName(tasks_[t], target_, numerics_));
      left_.insert(t);
      pb::KernelProgress* kernel = progress_.add_kernels();
      kernel->set_name(tasks_[t].name);
      kernel->set_calls(tasks_[t].calls);
    }
    progress_.set_elapsed_max_s(spec_.minutes() * 60);
    progress_.set_elapsed_s(job_.spent_s());
    progress_.set_trials(job_.progress().trials());  // of earlier attempts
    return absl::OkStatus();
  }

  absl::Duration TimeLeft() const {
    if (spec_.minutes() == 0) return absl::InfiniteDuration();
    return absl::Minutes(spec_.minutes()) - absl::Seconds(progress_.elapsed_s());
  }

  // Of those that are left, which this job may tune now. Two kernels of a job may be one.
  StatusOr<std::vector<size_t>> AskForKernels() {
    std::set<std::string> wanted;
    for (const size_t t : left_) wanted.insert(names_[t]);
    HONE_ASSIGN_OR_RETURN(const pb::KeepJobReply reply,
                          keeper_.Ask({wanted.begin(), wanted.end()}));
    const std::set<std::string> granted(reply.kernels().begin(), reply.kernels().end());
    keeper_.WaitFor(granted.empty() ? absl::StrCat("its kernels are being tuned by job ",
                                                   absl::StrJoin(reply.held_by(), ", "),
                                                   "; it takes over what is found")
                                    : "");
    std::vector<size_t> tasks;
    for (const size_t t : left_) {
      if (granted.contains(names_[t])) tasks.push_back(t);
    }
    return tasks;
  }

  // What is known of these kernels, and what there is to learn from others.
  StatusOr<std::unique_ptr<MemoryRecordStore>> FetchHistory(const std::vector<size_t>& tasks) {
    pb::FindRecordsRequest request;
    request.set_codegen_epoch(kCodegenEpoch);
    request.set_failure(pb::OK);
    request.set_newest_first(true);
    request.set_limit(RecordedKnowledge::kRecordsMax);
    HONE_ASSIGN_OR_RETURN(std::vector<pb::Record> records,
                          Persistently([&] { return FetchRecords(line_, request); }));
    std::set<std::string> keys;
    for (const size_t t : tasks) keys.insert(tasks_[t].workload.Key());
    for (const std::string& key : keys) {
      pb::FindRecordsRequest of_kernel;
      of_kernel.set_codegen_epoch(kCodegenEpoch);
      of_kernel.set_workload_key(key);
      of_kernel.set_target(target_.ToString());
      of_kernel.set_numerics(std::string(NumericsName(numerics_)));
      HONE_ASSIGN_OR_RETURN(std::vector<pb::Record> more,
                            Persistently([&] { return FetchRecords(line_, of_kernel); }));
      std::move(more.begin(), more.end(), std::back_inserter(records));
    }
    std::map<int64_t, pb::Record> by_id;
    for (pb::Record& record : records) by_id[record.id()] = std::move(record);
    std::vector<pb::Record> in_order;
    for (auto& [id, record] : by_id) in_order.push_back(std::move(record));
    auto history = std::make_unique<MemoryRecordStore>();
    HONE_RETURN_IF_ERROR(history->Append(in_order));
    return history;
  }

  // What was measured before is there.
  static std::string NoRoomUntilTheEnd(const Status& why) {
    return absl::StrCat("time is up, and at last the tracker took in nothing: ", why.message());
  }

  // While the tracker takes in nothing, until `deadline`.
  bool WaitForRoom(const Status& why, absl::Time deadline) {
    keeper_.WaitFor(
        why.ok() ? "" : absl::StrCat("the tracker takes in nothing for now: ", why.message()));
    if (!keeper_.status().ok() || absl::Now() > deadline) return false;
    if (!why.ok()) absl::SleepFor(options_.interval);
    return true;
  }

  Status Tune(const std::vector<size_t>& tasks) {
    ++rounds_;
    const absl::Time deadline = absl::Now() + TimeLeft();
    HONE_ASSIGN_OR_RETURN(const std::unique_ptr<MemoryRecordStore> history, FetchHistory(tasks));
    TuningOptions tuning;
    tuning.target = target_;
    tuning.speed = device_.speed();
    tuning.numerics = numerics_;
    tuning.trials_max = static_cast<int>(spec_.trials());
    if (spec_.minutes() > 0) {
      tuning.time_max_ms = std::max<int64_t>(1, absl::ToInt64Milliseconds(TimeLeft()));
    }
    tuning.seed = spec_.seed();
    tuning.model_constant_bytes = model_constant_bytes_;
    tuning.device = spec_.device();
    tuning.priority = spec_.priority();
    tuning.user = spec_.user();
    tuning.client = ClientName(spec_.user());
    tuning.run_id = absl::StrCat(tuning.client, "/job-", job_.id(), ".", job_.epoch(), ".", rounds_,
                                 "/", clock_.UnixMillis());
    tuning.tool_version = HONE_VERSION;
    std::vector<TuningTask> chosen;
    for (const size_t t : tasks) chosen.push_back(tasks_[t]);
    const pb::TuningProgress before = progress_;
    const TuningLimits limits = {
        .trials = spec_.trials(), .minutes = spec_.minutes(), .threads = spec_.threads()};
    HONE_ASSIGN_OR_RETURN(
        const TuningState state,
        TuneOnFarm(
            {.build_worker = options_.build_worker,
             .threads = spec_.threads(),
             .wait_for_room = [&](const Status& why) { return WaitForRoom(why, deadline); }},
            farm_, std::move(chosen), tuning, history.get(), clock_,
            [&] { return !keeper_.status().ok(); },
            [&](const TuningState& now) {
              Merge(before, ProgressOf(now, limits), tasks);
              keeper_.Show(progress_);
            }));
    for (const size_t t : tasks) left_.erase(t);
    for (size_t i = 0; i < tasks.size(); ++i) {
      const WorkloadState& workload = state.workloads[i];
      if (workload.best_ns == 0 && !workload.reason.empty()) {
        troubles_.push_back(absl::StrCat(workload.name, " was not tuned: ", workload.reason));
      }
    }
    return absl::OkStatus();
  }

  // The job's progress while some of its kernels are tuned, after `before`.
  void Merge(const pb::TuningProgress& before, const pb::TuningProgress& round,
             const std::vector<size_t>& tasks) {
    progress_ = before;
    for (size_t i = 0; i < tasks.size(); ++i) {
      *progress_.mutable_kernels(static_cast<int>(tasks[i])) = round.kernels(static_cast<int>(i));
    }
    progress_.set_trials(before.trials() + round.trials());
    const auto others = static_cast<int64_t>(left_.size() - tasks.size());
    progress_.set_trials_max(before.trials() + round.trials_max() + others * spec_.trials());
    progress_.set_elapsed_s(before.elapsed_s() + round.elapsed_s());
    progress_.set_peak_gflops(round.peak_gflops());
    progress_.set_finished(round.finished() && others == 0);
  }

  const JobWorkerOptions& options_;
  const pb::Job& job_;
  const pb::JobSpec& spec_;
  TrackerLine& line_;
  JobClient& jobs_;
  FarmClient& farm_;
  JobKeeper& keeper_;
  const Clock& clock_;

  Numerics numerics_ = Numerics::kFp32;
  pb::DeviceInfo device_;
  Target target_;
  std::vector<TuningTask> tasks_;
  std::vector<std::string> names_;  // of the tasks, for the tracker
  int64_t model_constant_bytes_ = 0;
  std::set<size_t> left_;  // tasks that are not tuned yet
  int rounds_ = 0;
  std::vector<std::string> troubles_;
  pb::TuningProgress progress_;
};

// Says how it ended, again and again until the tracker has heard.
Status Tell(JobClient& jobs, const pb::EndJobRequest& end) {
  const absl::Time deadline = absl::Now() + kTellFor;
  while (true) {
    const Status status = jobs.End(end);
    // Aborted: it is another's, or was cancelled just now.
    if (status.ok() || absl::IsAborted(status) || absl::IsNotFound(status)) {
      return absl::OkStatus();
    }
    if (absl::Now() > deadline) return status;
    absl::SleepFor(absl::Milliseconds(200));
  }
}

}  // namespace

Status WorkOnJob(const JobWorkerOptions& options, const pb::Job& job, const Clock& clock) {
  // Whatever keeps this host from the tracker, as a certificate that expired, is not the job's
  // fault. All connections are made here: what expires later is taken up anew when it is renewed.
  const auto no_fault_of_the_job = [](const Status& status) {
    return absl::UnavailableError(status.message());
  };
  const StatusOr<std::shared_ptr<TrackerLine>> line =
      TrackerLine::Open(options.tracker, options.tls_dir);
  if (!line.ok()) return no_fault_of_the_job(line.status());
  const StatusOr<std::unique_ptr<JobClient>> jobs =
      JobClient::Connect(options.tracker, options.tls_dir);
  if (!jobs.ok()) return no_fault_of_the_job(jobs.status());
  const StatusOr<std::unique_ptr<FarmClient>> farm =
      FarmClient::Connect({.tracker = options.tracker, .tls_dir = options.tls_dir});
  if (!farm.ok()) return no_fault_of_the_job(farm.status());
  pb::KeepJobRequest first;
  first.set_id(job.id());
  first.set_epoch(job.epoch());
  first.set_farm_client((*farm)->client_id());
  pb::EndJobRequest end;
  end.set_id(job.id());
  end.set_epoch(job.epoch());
  {
    JobKeeper keeper(**jobs, std::move(first), options.interval);
    JobWork work(options, job, **line, **jobs, **farm, keeper, clock);
    const StatusOr<std::string> outcome = work.Run();
    // Cancelled, or given to another: nobody is to hear more of this attempt.
    if (!keeper.status().ok()) return absl::OkStatus();
    if (absl::IsUnavailable(outcome.status())) return outcome.status();
    end.set_phase(outcome.ok() ? pb::JOB_DONE : pb::JOB_FAILED);
    end.set_reason(outcome.ok() ? *outcome : std::string(outcome.status().message()));
    if (work.progress().kernels_size() > 0) *end.mutable_progress() = work.progress();
    end.mutable_progress()->set_finished(outcome.ok());
  }
  return Tell(**jobs, end);
}

}  // namespace hone
