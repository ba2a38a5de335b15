#include "tests/chaos/job_user.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

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

}  // namespace

JobUser::JobUser(FarmClientOptions farm, int jobs_max, int at_a_time)
    : farm_(std::move(farm)),
      jobs_max_(jobs_max),
      at_a_time_(at_a_time),
      thread_([this] { Run(); }) {}

JobUser::~JobUser() { GiveUp(); }

void JobUser::GiveUp() {
  giving_up_ = true;
  if (thread_.joinable()) thread_.join();
}

void JobUser::Run() {
  const auto client = TuningClient::Connect(farm_.tracker, farm_.tls_dir);
  if (!client.ok()) troubles_.emplace_back(client.status().message());
  for (int i = 0; client.ok() && i < jobs_max_ && !finishing_ && !giving_up_;) {
    std::vector<int64_t> ids;
    for (int j = 0; j < at_a_time_ && i < jobs_max_; ++j, ++i) {
      if (const auto id = Submit(**client, i)) ids.push_back(*id);
    }
    for (const int64_t id : ids) Await(**client, id);
  }
  ended_ = true;
}

std::optional<int64_t> JobUser::Submit(TuningClient& client, int number) {
  StatusOr<pb::Job> job = absl::UnavailableError("nobody was asked");
  while (!giving_up_) {
    job = client.Submit(SpecOf(number), "");
    if (job.ok()) return job->id();
    absl::SleepFor(kPause);
  }
  troubles_.push_back(absl::StrCat("a job is not taken in: ", job.status().message()));
  return std::nullopt;
}

void JobUser::Await(TuningClient& client, int64_t id) {
  StatusOr<pb::Job> job = absl::UnavailableError("nobody was asked");
  do {
    job = client.Watch(id, kPatience, [this] { return giving_up_.load(); }, [](const pb::Job&) {});
  } while (!job.ok() && !giving_up_);
  if (job.ok() && job->phase() == pb::JOB_DONE) {
    ++done_;
    return;
  }
  troubles_.push_back(
      absl::StrCat("job ", id, ": ",
                   job.ok() ? absl::StrCat(pb::JobPhase_Name(job->phase()), ", ", job->reason())
                            : std::string(job.status().message())));
}

}  // namespace hone
