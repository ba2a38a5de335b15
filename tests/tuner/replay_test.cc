#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "db/memory_record_store.h"
#include "tests/support/fake_measurer.h"
#include "tests/support/fake_tuning.h"
#include "tuner/cost_model/xgboost_cost_model.h"
#include "tuner/measure/replay_measurer.h"
#include "tuner/tuning_session.h"

namespace hone {
namespace {

using testing::HasSubstr;

class ReplayTest : public testing::Test {
 protected:
  static std::vector<TuningTask> Tasks() { return {Matmul("a", 64), Matmul("b", 96)}; }
  static std::vector<std::string> Keys() {
    std::vector<std::string> keys;
    for (const TuningTask& task : Tasks()) keys.push_back(task.workload.Key());
    return keys;
  }
  static TuningOptions Options() {
    TuningOptions options;
    options.target.features = {"avx", "avx2", "fma"};
    options.trials_max = 40;
    return options;
  }

  // Goes on by 10 ms with each batch that is asked for, however long a space takes to derive.
  class ClockOfBatches : public Clock {
   public:
    explicit ClockOfBatches(const FakeMeasurer& measurer) : measurer_(measurer) {}
    int64_t MonotonicNanos() const override {
      return static_cast<int64_t>(measurer_.batches.size()) * 10'000'000;
    }
    int64_t UnixMillis() const override { return 0; }

   private:
    const FakeMeasurer& measurer_;
  };

  // Tunes with made-up times; batches come home late and in disorder.
  TuningState Tune(const std::string& run_id, TuningOptions options = Options()) {
    FakeMeasurer measurer(Cost, &store_);
    measurer.name = run_id;
    measurer.disorderly = true;
    measurer.told = told_;
    measurer.held_back = held_back_;
    options.run_id = run_id;
    const std::unique_ptr<CostModel> model = MakeXgboostCostModel({.rounds = 10});
    const ClockOfBatches clock(measurer);
    TuningSession session(Tasks(), options, *model, ReplayBuilds(), measurer, &store_, clock);
    EXPECT_TRUE(session
                    .Run([&] { return measurer.batches.size() > batches_until_killed; },
                         [](const TuningState&) {})
                    .ok());
    return session.state();
  }

  struct Replayed {
    RecordedRun run;
    ReplayMeasurer::Outcome outcome;
    TuningState state;
  };
  Replayed Replay(TuningOptions options = Options()) {
    const auto run = FindRecordedRun(store_, {}, Keys(), options.seed);
    EXPECT_TRUE(run.ok()) << run.status();
    const auto before = RecordsBefore(store_, *run);
    EXPECT_TRUE(before.ok()) << before.status();
    ReplayMeasurer measurer(*store_.Query({}), *run);
    options.speed = run->speed;
    options.batches_max = static_cast<int>(run->batches.size());
    const std::unique_ptr<CostModel> model = MakeXgboostCostModel({.rounds = 10});
    FakeClock clock;
    TuningSession session(Tasks(), options, *model, ReplayBuilds(), measurer, before->get(), clock);
    EXPECT_TRUE(session.Run([&] { return measurer.ended(); }, [](const TuningState&) {}).ok());
    return {*run, measurer.outcome(), session.state()};
  }

  MemoryRecordStore store_;
  double told_ = 1;                                                 // FakeMeasurer::told
  std::function<bool(int)> held_back_ = [](int) { return false; };  // FakeMeasurer::held_back
  size_t batches_until_killed = 1000;
};

TEST_F(ReplayTest, ProposesWhatTheRunProposed) {
  const TuningState tuned = Tune("first");
  const Replayed replayed = Replay();
  EXPECT_EQ(replayed.run.run_id, "first");
  EXPECT_EQ(replayed.outcome.difference, "");
  EXPECT_EQ(replayed.outcome.never_measured, "");
  EXPECT_GT(replayed.outcome.same, 5);
  EXPECT_EQ(replayed.outcome.same, static_cast<int>(replayed.run.batches.size()));
  for (size_t w = 0; w < tuned.workloads.size(); ++w) {
    EXPECT_EQ(replayed.state.workloads[w].best_schedule, tuned.workloads[w].best_schedule);
    EXPECT_EQ(replayed.state.workloads[w].best_ns, tuned.workloads[w].best_ns);
    EXPECT_EQ(replayed.state.workloads[w].trials.size(), tuned.workloads[w].trials.size());
  }
}

TEST_F(ReplayTest, AnswersBothFormsOfADuelsBestEachWithItsOwnTime) {
  told_ = 1.05;
  const TuningState tuned = Tune("first");
  const Replayed replayed = Replay();
  for (size_t w = 0; w < tuned.workloads.size(); ++w) {
    EXPECT_EQ(replayed.state.workloads[w].best_ns, tuned.workloads[w].best_ns);
  }
}

TEST_F(ReplayTest, RepeatsTheLatestRunFromWhatItKnewThen) {
  TuningOptions fewer = Options();
  fewer.trials_max = 16;
  Tune("first", fewer);
  Tune("second");
  const Replayed replayed = Replay();
  EXPECT_EQ(replayed.run.run_id, "second");
  EXPECT_EQ(replayed.outcome.difference, "");
  EXPECT_EQ(replayed.outcome.same, static_cast<int>(replayed.run.batches.size()));
}

TEST_F(ReplayTest, RepeatsARunThatTimeEnded) {
  TuningOptions options = Options();
  options.time_max_ms = 40;
  const TuningState tuned = Tune("first", options);
  ASSERT_EQ(tuned.workloads[0].reason, "time is up");
  const Replayed replayed = Replay();
  EXPECT_EQ(replayed.outcome.difference, "");
  EXPECT_EQ(replayed.outcome.same, static_cast<int>(replayed.run.batches.size()));
  EXPECT_EQ(replayed.state.workloads[0].best_ns, tuned.workloads[0].best_ns);
}

TEST_F(ReplayTest, TakesTheDeviceForWhatTheRunTookItFor) {
  TuningOptions options = Options();
  options.speed.set_peak_gflops(104);
  options.speed.set_l2_gbps(60);
  options.speed.set_l3_gbps(50);
  options.speed.set_memory_gbps(2);
  options.speed.set_stream_gbps(1);
  const TuningState tuned = Tune("first", options);
  const Replayed replayed = Replay();
  EXPECT_EQ(replayed.run.speed.memory_gbps(), 2);
  EXPECT_EQ(replayed.outcome.difference, "");
  EXPECT_EQ(replayed.outcome.same, static_cast<int>(replayed.run.batches.size()));
  EXPECT_EQ(replayed.state.speed.l2_gbps(), 60);
  for (size_t w = 0; w < tuned.workloads.size(); ++w) {
    EXPECT_EQ(replayed.state.workloads[w].trials[0].predicted_ns,
              tuned.workloads[w].trials[0].predicted_ns);
    EXPECT_EQ(replayed.state.workloads[w].roofline.ns, tuned.workloads[w].roofline.ns);
  }
}

TEST_F(ReplayTest, RepeatsARunThatMeasuredAnewWhatWasHeldBack) {
  // In phases, as others come and go.
  held_back_ = [](int measurement) { return measurement % 64 > 8; };
  const TuningState tuned = Tune("first");
  const Replayed replayed = Replay();
  EXPECT_EQ(replayed.outcome.difference, "");
  EXPECT_EQ(replayed.outcome.never_measured, "");
  EXPECT_EQ(replayed.outcome.same, static_cast<int>(replayed.run.batches.size()));
  for (size_t w = 0; w < tuned.workloads.size(); ++w) {
    EXPECT_EQ(replayed.state.workloads[w].best_ns, tuned.workloads[w].best_ns);
  }
}

TEST_F(ReplayTest, RepeatsARunThatWasKilled) {
  batches_until_killed = 4;
  Tune("first");
  const Replayed replayed = Replay();
  EXPECT_EQ(replayed.outcome.difference, "");
  EXPECT_EQ(replayed.outcome.same, static_cast<int>(replayed.run.batches.size()));
}

TEST_F(ReplayTest, SaysWhereAnotherSearchGoesAnotherWay) {
  Tune("first");
  RecordedRun run = *FindRecordedRun(store_, {}, Keys(), 1);
  ReplayMeasurer measurer(*store_.Query({}), run);
  TuningOptions options = Options();
  FakeClock clock;
  NoCostModel model;  // the run had one that learns
  TuningSession session(Tasks(), options, model, ReplayBuilds(), measurer, nullptr, clock);
  ASSERT_TRUE(session.Run([&] { return measurer.ended(); }, [](const TuningState&) {}).ok());
  EXPECT_THAT(measurer.outcome().difference, HasSubstr("is another"));
  EXPECT_THAT(measurer.outcome().never_measured, HasSubstr("schedule/1"));
  EXPECT_GT(session.state().trials, 0) << "the first batches were known";
}

TEST_F(ReplayTest, SaysThatThereIsNothingToRepeat) {
  const auto run = FindRecordedRun(store_, {}, Keys(), 1);
  EXPECT_EQ(run.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(run.status().message()), HasSubstr("without --replay first"));
}

}  // namespace
}  // namespace hone
