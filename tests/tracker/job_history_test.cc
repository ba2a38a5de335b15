#include "tracker/job_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

using ::testing::SizeIs;

// After `elapsed_s` seconds: two kernels, of which one was measured and got better.
pb::Job JobAt(double elapsed_s, double best_ns) {
  pb::Job job;
  job.set_id(7);
  job.set_phase(pb::JOB_RUNNING);
  job.add_kernels("held");
  job.mutable_spec()->set_workload("workload/1 w");
  job.mutable_progress()->set_elapsed_s(elapsed_s);
  pb::KernelProgress& kernel = *job.mutable_progress()->add_kernels();
  kernel.set_state(pb::KernelProgress::DONE);
  kernel.set_calls(3);
  kernel.set_failures(2);
  kernel.set_default_ns(1000);
  kernel.set_best_ns(best_ns);
  job.mutable_progress()->add_kernels()->set_state(pb::KernelProgress::WAITING);
  return job;
}

TEST(JobHistoryTest, SumsUpKernelsAsOftenAsTheModelRunsThem) {
  JobHistory history;
  const pb::Job job = JobAt(10, 400);
  history.Saw(job);
  const pb::JobEntry entry = history.EntryOf(job);
  EXPECT_EQ(entry.kernels(), 2);
  EXPECT_EQ(entry.kernels_done(), 1);
  EXPECT_EQ(entry.kernels_measured(), 1);
  EXPECT_EQ(entry.failures(), 2);
  EXPECT_EQ(entry.default_ns(), 3000);
  EXPECT_EQ(entry.best_ns(), 1200);
  ASSERT_THAT(entry.points(), SizeIs(1));
  EXPECT_EQ(entry.points(0).saved_ns(), 1800);
  // What is long, and what is nobody's business, stays where it is.
  EXPECT_EQ(entry.job().spec().workload(), "");
  EXPECT_THAT(entry.job().kernels(), SizeIs(0));
  EXPECT_THAT(entry.job().progress().kernels(), SizeIs(0));
}

TEST(JobHistoryTest, KeepsWhatIsNewsOfACurve) {
  JobHistory history;
  for (int second = 1; second <= 100; ++second) history.Saw(JobAt(second, second < 50 ? 900 : 500));
  const pb::JobEntry entry = history.EntryOf(JobAt(100, 500));
  ASSERT_THAT(entry.points(), SizeIs(4));  // both ends of both steps
  EXPECT_EQ(entry.points(1).elapsed_s(), 49);
  EXPECT_EQ(entry.points(3).elapsed_s(), 100);
}

TEST(JobHistoryTest, IsBoundedHoweverLongAndHoweverMany) {
  JobHistory history;
  for (int i = 1; i <= 2000; ++i) {
    pb::Job job = JobAt(i, 900.0 - 0.1 * i);
    history.Saw(job);
    job.set_id(100 + i);
    history.Saw(job);
  }
  const pb::JobEntry entry = history.EntryOf(JobAt(2000, 700));
  EXPECT_LE(entry.points_size(), kJobPointsMax);
  EXPECT_EQ(entry.points().rbegin()->elapsed_s(), 2000);
  pb::Job forgotten = JobAt(1, 1);
  forgotten.set_id(101);
  EXPECT_THAT(history.EntryOf(forgotten).points(), SizeIs(0));
}

TEST(JobHistoryTest, NamesPhasesOfAnotherVersion) {
  EXPECT_EQ(PhaseWord(pb::JOB_CANCELLED), "cancelled");
  EXPECT_EQ(PhaseWord(static_cast<pb::JobPhase>(99)), "unknown");
}

}  // namespace
}  // namespace hone
