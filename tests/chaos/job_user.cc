#include "tests/chaos/job_user.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "rpc/tuning_client.h"

namespace hone {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr absl::Duration kPause = absl::Milliseconds(200);
constexpr int kSizes = 16;

// A small product of matrices, with some more to find out each time round.
pb::JobSpec SpecOf(int number) {
  pb::JobSpec spec;
  spec.set_workload(absl::StrFormat(
      "workload/1\ninput x f32 [%1$d,%1$d]\nconstant w f32 [%1$d,%1$d]\noutput y f32 [%1$d,%1$d]\n"
      "stage y f32 [m:%1$d,n:%1$d] sum [k:%1$d] = x[m,k]*w[k,n]\n",
      24 + 8 * (number % kSizes)));
  spec.set_numerics("fp32");
  spec.set_device("real");
  spec.set_trials(4 + number / kSizes);
  spec.set_user("jobs");
  spec.set_threads(1);
  return spec;
}

// The tracker's, which a job says it ended for.
bool IsFullDisk(const std::string& reason) {
  return absl::StrContains(reason, "disk is full") ||
         absl::StrContains(reason, "No space left on device");
}

}  // namespace

JobUser::JobUser(FarmClientOptions farm, int jobs_max)
    : farm_(std::move(farm)), jobs_max_(jobs_max), thread_([this] { Run(); }) {}

JobUser::~JobUser() { GiveUp(); }

void JobUser::GiveUp() {
  giving_up_ = true;
  if (thread_.joinable()) thread_.join();
}

void JobUser::Run() {
  for (int i = 0; i < jobs_max_ && !finishing_ && !giving_up_; ++i) TuneOne(i);
  ended_ = true;
}

void JobUser::TuneOne(int number) {
  const auto client = TuningClient::Connect(farm_.tracker, farm_.tls_dir);
  StatusOr<pb::Job> job = absl::UnavailableError("nobody was asked");
  if (!client.ok()) job = client.status();
  while (client.ok() && !giving_up_) {
    job = (*client)->Submit(SpecOf(number), "");
    if (job.ok()) break;
    absl::SleepFor(kPause);
  }
  if (!job.ok()) {
    troubles_.push_back(absl::StrCat("no job is taken in: ", job.status().message()));
    return;
  }
  const int64_t id = job->id();
  do {
    job = (*client)->Watch(
        id, kPatience, [this] { return giving_up_.load(); }, [](const pb::Job&) {});
  } while (!job.ok() && !giving_up_);
  if (job.ok() && job->phase() == pb::JOB_DONE) {
    ++done_;
  } else if (job.ok() && job->phase() == pb::JOB_FAILED && IsFullDisk(job->reason())) {
    ++disk_full_;
  } else {
    troubles_.push_back(
        absl::StrCat("job ", id, ": ",
                     job.ok() ? absl::StrCat(pb::JobPhase_Name(job->phase()), ", ", job->reason())
                              : std::string(job.status().message())));
  }
}

}  // namespace hone
