#include "tuner/tuning_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/compile.h"
#include "db/memory_record_store.h"
#include "tests/support/fake_measurer.h"
#include "tests/support/fake_tuning.h"
#include "tuner/cost_model/xgboost_cost_model.h"

namespace hone {
namespace {

Target Avx2() {
  Target target;
  target.features = {"avx", "avx2", "fma"};
  return target;
}

// Answers at once. Schedules that contain `broken` do not compile.
BuildCandidate Builder(const std::string& broken = "nothing") {
  return [broken](pb::BuildRequest request, std::function<void(pb::BuildReply)> done) {
    pb::BuildReply reply;
    reply.set_id(request.id());
    if (request.schedule().find(broken) != std::string::npos) {
      reply.mutable_failure()->set_failure(pb::COMPILE_ERROR);
      reply.mutable_failure()->set_message("refused");
    } else {
      reply.mutable_artifact()->set_code("code of " + request.schedule());
    }
    done(std::move(reply));
  };
}

TuningOptions Options() {
  TuningOptions options;
  options.target = Avx2();
  options.trials_max = 24;
  options.client = "test";
  return options;
}

uint32_t Fingerprint(const std::string& text) {
  uint32_t hash = 1;
  for (char c : text) hash = hash * 16777619 + static_cast<unsigned char>(c);
  return hash;
}

const auto kNever = [] { return false; };
const auto kIgnore = [](const TuningState&) {};

TEST(TuningSessionTest, TunesEveryWorkloadAndEndsWithADuel) {
  FakeMeasurer measurer(Cost);
  NoCostModel model;
  FakeClock clock;
  TuningSession session({Matmul("a", 64, 1), Matmul("b", 96, 3)}, Options(), model, Builder(),
                        measurer, nullptr, clock);
  ASSERT_TRUE(session.Run(kNever, kIgnore).ok());
  int finals = 0;
  for (const pb::Batch& batch : measurer.batches) {
    finals += batch.final();
    EXPECT_TRUE(batch.reference().has_artifact());
    EXPECT_GT(batch.tolerance().atol(), 0);
    EXPECT_EQ(batch.codegen_epoch(), kCodegenEpoch);
    EXPECT_EQ(batch.candidates_size() <= 16, true);
  }
  EXPECT_EQ(finals, 2);
  EXPECT_TRUE(session.state().finished);
  EXPECT_EQ(session.state().trials, 48);
  EXPECT_EQ(session.state().speed.peak_gflops(), 90);
  for (const WorkloadState& state : session.state().workloads) {
    EXPECT_EQ(state.phase, WorkloadState::Phase::kDone);
    ASSERT_EQ(state.trials.size(), 24u);
    double seconds = 0;
    for (const Trial& trial : state.trials) {
      EXPECT_GT(trial.predicted_ns, 0);
      EXPECT_EQ(trial.expected_ns, 0) << "there is no cost model";
      EXPECT_GE(trial.cost_ns, state.best_ns);
      EXPECT_FALSE(trial.origin.empty());
      ASSERT_TRUE(trial.seconds.has_value());
      EXPECT_GE(*trial.seconds, seconds);
      seconds = *trial.seconds;
    }
    EXPECT_GT(state.roofline.ns, 0);
    EXPECT_EQ(state.reason, "trials spent");
    EXPECT_GT(state.default_ns, 0);
    EXPECT_LE(state.best_ns, state.default_ns);
    EXPECT_THAT(state.best_schedule, testing::HasSubstr("schedule/1"));
  }
}

TEST(TuningSessionTest, OneSearchOfAProductServesItsOtherEpilogues) {
  const auto with_epilogue = [](const std::string& epilogue) {
    TuningTask task = Matmul(epilogue, 64);
    task.workload = *Workload::Parse(absl::StrCat(
        "workload/1\ninput x f32 [64,64]\nconstant w f32 [64,64]\noutput y f32 [64,64]\n"
        "stage c f32 [m:64,n:64] sum [k:64] = x[m,k]*w[k,n]\nstage y f32 [m:64,n:64] = ",
        epilogue, "\n"));
    return task;
  };
  std::vector<TuningTask> tasks = {with_epilogue("c[m,n]*0x1p+1"),
                                   with_epilogue("max(c[m,n],0x0p+0)")};
  // Which schedule is fast is luck, so that two short searches find different ones: in one game of
  // several, if not in each.
  int advised = 0;
  for (const char* game : {"a", "b", "c", "d"}) {
    FakeMeasurer measurer([game](const std::string& schedule) {
      return 1e6 + static_cast<double>(Fingerprint(schedule + game) % 1000000);
    });
    NoCostModel model;
    FakeClock clock;
    TuningOptions options = Options();
    options.trials_max = 1000;
    options.search.patience = 8;
    TuningSession session(tasks, options, model, Builder(), measurer, nullptr, clock);
    ASSERT_TRUE(session.Run(kNever, kIgnore).ok());
    for (const WorkloadState& state : session.state().workloads) {
      EXPECT_EQ(state.phase, WorkloadState::Phase::kDone);
      EXPECT_FALSE(state.reason.empty());
      for (const Trial& trial : state.trials) advised += trial.origin == "epilogue";
    }
  }
  EXPECT_GT(advised, 0);
}

TEST(TuningSessionTest, HoldsKernelsAgainstTheBestThatWasEverSeenOfTheDevice) {
  MemoryRecordStore store;
  NoCostModel model;
  FakeClock clock;
  TuningOptions options = Options();
  options.speed.set_peak_gflops(80);
  options.speed.set_l3_gbps(79);
  options.speed.set_memory_gbps(20);
  options.speed.set_stream_gbps(20);
  FakeMeasurer first(Cost, &store);
  TuningSession a({Matmul("a", 64, 1)}, options, model, Builder(), first, &store, clock);
  ASSERT_TRUE(a.Run(kNever, kIgnore).ok());
  EXPECT_EQ(a.state().speed.peak_gflops(), 90) << "measured beside";
  EXPECT_EQ(first.batches[0].speed().peak_gflops(), 80) << "what proposals follow from";

  FakeMeasurer second(Cost, &store);
  second.name = "second";
  options.speed.set_l3_gbps(57);
  options.speed.set_memory_gbps(24);
  options.trials_max = 32;
  TuningSession b({Matmul("a", 64, 1)}, options, model, Builder(), second, &store, clock);
  ASSERT_TRUE(b.Run(kNever, kIgnore).ok());
  EXPECT_EQ(b.state().speed.l3_gbps(), 79);
  EXPECT_EQ(b.state().speed.memory_gbps(), 24);
}

TEST(TuningSessionTest, GoesOnWhenTheLimitThatASearchReachedTurnsOutToBeFurther) {
  FakeMeasurer measurer(Cost);
  // Other work has the core while the first batch is measured.
  measurer.peak_of_batch = [](int batch) { return batch == 1 ? 0.2 : 90; };
  NoCostModel model;
  FakeClock clock;
  TuningOptions options = Options();
  options.batches_ahead = 1;
  TuningSession session({Matmul("a", 64), Matmul("b", 96)}, options, model, Builder(), measurer,
                        nullptr, clock);
  bool was_at_the_limit = false;
  ASSERT_TRUE(session
                  .Run(kNever,
                       [&](const TuningState& state) {
                         was_at_the_limit |= state.workloads[0].reason == kAtTheLimit;
                       })
                  .ok());
  EXPECT_TRUE(was_at_the_limit);
  EXPECT_EQ(session.state().workloads[0].reason, "trials spent");
  EXPECT_EQ(session.state().workloads[0].trials.size(), 24u);
}

TEST(TuningSessionTest, GoesOnWhereItStopped) {
  MemoryRecordStore store;
  NoCostModel model;
  FakeClock clock;
  FakeMeasurer first(Cost, &store);
  TuningOptions options = Options();
  options.trials_max = 16;
  TuningSession a({Matmul("a", 64, 1)}, options, model, Builder(), first, &store, clock);
  ASSERT_TRUE(a.Run(kNever, kIgnore).ok());

  FakeMeasurer second(Cost, &store);
  second.name = "second";
  options.trials_max = 24;
  TuningSession b({Matmul("a", 64, 1)}, options, model, Builder(), second, &store, clock);
  ASSERT_TRUE(b.Run(kNever, kIgnore).ok());
  EXPECT_EQ(b.state().trials, 8);
  const std::vector<Trial>& trials = b.state().workloads[0].trials;
  ASSERT_EQ(trials.size(), 24u);
  for (int t = 0; t < 24; ++t) {
    EXPECT_EQ(trials[t].seconds.has_value(), t >= 16) << "those of before have no seconds";
    EXPECT_GT(trials[t].cost_ns, 0);
  }
  for (const pb::Batch& batch : second.batches) {
    if (batch.final()) continue;
    for (const pb::Candidate& candidate : batch.candidates()) {
      for (const pb::Batch& earlier : first.batches) {
        for (const pb::Candidate& other : earlier.candidates()) {
          EXPECT_NE(candidate.schedule(), other.schedule());
        }
      }
    }
  }

  // A third time there is nothing left to do.
  FakeMeasurer third(Cost, &store);
  TuningSession c({Matmul("a", 64, 1)}, options, model, Builder(), third, &store, clock);
  ASSERT_TRUE(c.Run(kNever, kIgnore).ok());
  EXPECT_TRUE(third.batches.empty());
  EXPECT_EQ(c.state().workloads[0].best_ns, b.state().workloads[0].best_ns);
}

// A session that spent its trials and was killed before its duel was recorded.
struct KilledBeforeItsDuel {
  explicit KilledBeforeItsDuel(MemoryRecordStore& store) {
    MemoryRecordStore all;
    NoCostModel model;
    FakeClock clock;
    FakeMeasurer measurer(Cost, &all);
    TuningSession session({Matmul("a", 64, 1)}, Options(), model, Builder(), measurer, &all, clock);
    EXPECT_TRUE(session.Run(kNever, kIgnore).ok());
    best_ns = session.state().workloads[0].best_ns;
    reference = measurer.batches.at(0).reference().schedule();
    std::vector<pb::Record> records = *all.Query({});
    std::erase_if(records, [](const pb::Record& record) { return record.origin() == kDuelOrigin; });
    EXPECT_TRUE(store.Append(records).ok());
  }

  double best_ns = 0;
  std::string reference;  // schedule
};

// Cannot learn from records.
class UnteachableModel : public NoCostModel {
 public:
  Status TrainBase(const TrainingSet&) override { return absl::InternalError("not taught"); }
};

TEST(TuningSessionTest, HasLearntFromRecordsBeforeADuelAddsToThem) {
  MemoryRecordStore store;
  const KilledBeforeItsDuel a(store);
  NoCostModel model;
  FakeClock clock;
  FakeMeasurer second(Cost);
  TuningSession b({Matmul("a", 64, 1)}, Options(), model, Builder(), second, &store, clock);
  ASSERT_TRUE(b.Run(kNever, kIgnore).ok());
  ASSERT_EQ(second.batches.size(), 1u);
  EXPECT_TRUE(second.batches[0].final());
  EXPECT_EQ(b.state().workloads[0].best_ns, a.best_ns);

  UnteachableModel unteachable;
  FakeMeasurer third(Cost);
  TuningSession c({Matmul("a", 64, 1)}, Options(), unteachable, Builder(), third, &store, clock);
  EXPECT_EQ(c.Run(kNever, kIgnore).message(), "not taught") << "the duel waited for the end of it";
}

TEST(TuningSessionTest, AReferenceThatDoesNotCompileForTheDuelDoesNotHideWhyTheSearchEnded) {
  MemoryRecordStore store;
  const KilledBeforeItsDuel a(store);
  NoCostModel model;
  FakeClock clock;
  FakeMeasurer second(Cost);
  TuningSession b({Matmul("a", 64, 1)}, Options(), model, Builder(a.reference), second, &store,
                  clock);
  ASSERT_TRUE(b.Run(kNever, kIgnore).ok());
  EXPECT_EQ(b.state().workloads[0].reason, "trials spent");
}

TEST(TuningSessionTest, MeasuresConstantsAsTheModelFindsThem) {
  // 1 MiB of constants.
  const TuningTask task = Matmul("a", 512, 1);
  NoCostModel model;
  FakeClock clock;
  MemoryRecordStore store;
  TuningOptions options = Options();
  options.target.l2_bytes = 512 << 10;
  options.target.l3_bytes = 32 << 20;
  options.model_constant_bytes = 1 << 20;
  FakeMeasurer near(Cost, &store);
  TuningSession in_small_model({task}, options, model, Builder(), near, &store, clock);
  ASSERT_TRUE(in_small_model.Run(kNever, kIgnore).ok());
  for (const pb::Batch& batch : near.batches) EXPECT_FALSE(batch.cold_constants());

  options.model_constant_bytes = 100 << 20;
  FakeMeasurer far([](const std::string& schedule) { return 2 * Cost(schedule); }, &store);
  far.name = "far";
  TuningSession in_large_model({task}, options, model, Builder(), far, &store, clock);
  ASSERT_TRUE(in_large_model.Run(kNever, kIgnore).ok());
  for (const pb::Batch& batch : far.batches) EXPECT_TRUE(batch.cold_constants());
  EXPECT_EQ(in_large_model.state().trials, 24) << "times taken the other way do not count";
  EXPECT_GT(in_large_model.state().workloads[0].best_ns,
            in_small_model.state().workloads[0].best_ns);
}

TEST(TuningSessionTest, CountsWhatOtherWorkDisturbed) {
  FakeMeasurer measurer(Cost);
  measurer.busy = true;
  NoCostModel model;
  FakeClock clock;
  TuningSession session({Matmul("a", 64, 1)}, Options(), model, Builder(), measurer, nullptr,
                        clock);
  ASSERT_TRUE(session.Run(kNever, kIgnore).ok());
  EXPECT_EQ(session.state().trials, 24);
  EXPECT_EQ(session.state().not_quiet, 24);
}

TEST(TuningSessionTest, ProposesTheSameForTheSameSeed) {
  FakeClock clock;
  std::vector<std::string> runs;
  for (int run = 0; run < 2; ++run) {
    FakeMeasurer measurer(Cost);
    const std::unique_ptr<CostModel> model = MakeXgboostCostModel({.rounds = 10});
    TuningSession session({Matmul("a", 64, 1), Matmul("b", 96, 1)}, Options(), *model, Builder(),
                          measurer, nullptr, clock);
    ASSERT_TRUE(session.Run(kNever, kIgnore).ok());
    std::string all;
    for (const pb::Batch& batch : measurer.batches) all += batch.SerializeAsString();
    runs.push_back(all);
  }
  EXPECT_EQ(runs[0], runs[1]);
}

TEST(TuningSessionTest, ProposesTheSameInWhateverOrderResultsArrive) {
  FakeClock clock;
  std::vector<std::vector<std::string>> runs;
  for (const bool disorderly : {false, true}) {
    FakeMeasurer measurer(Cost);
    measurer.disorderly = disorderly;
    const std::unique_ptr<CostModel> model = MakeXgboostCostModel({.rounds = 10});
    TuningOptions options = Options();
    options.trials_max = 40;
    TuningSession session({Matmul("a", 64, 1), Matmul("b", 96, 1), Matmul("c", 48, 2)}, options,
                          *model, Builder(), measurer, nullptr, clock);
    ASSERT_TRUE(session.Run(kNever, kIgnore).ok());
    std::vector<std::string> batches;
    for (const pb::Batch& batch : measurer.batches) {
      std::string text = std::to_string(batch.run_batch());
      for (const pb::Candidate& candidate : batch.candidates()) {
        text += candidate.origin() + candidate.schedule();
      }
      batches.push_back(text);
    }
    EXPECT_GT(batches.size(), 9u);
    runs.push_back(batches);
  }
  EXPECT_EQ(runs[0], runs[1]);
}

TEST(TuningSessionTest, StartsFromWhatEarlierSessionsFoundForLikeWorkloads) {
  MemoryRecordStore store;
  FakeClock clock;
  FakeMeasurer first(Cost, &store);
  const std::unique_ptr<CostModel> model = MakeXgboostCostModel({.rounds = 10});
  TuningSession earlier({Matmul("a", 64, 1)}, Options(), *model, Builder(), first, &store, clock);
  ASSERT_TRUE(earlier.Run(kNever, kIgnore).ok());

  FakeMeasurer second(Cost, &store);
  second.name = "second";
  const std::unique_ptr<CostModel> fresh = MakeXgboostCostModel({.rounds = 10});
  TuningSession later({Matmul("b", 128, 1)}, Options(), *fresh, Builder(), second, &store, clock);
  ASSERT_TRUE(later.Run(kNever, kIgnore).ok());
  std::set<std::string> origins;
  for (const pb::Candidate& candidate : second.batches.at(0).candidates()) {
    origins.insert(candidate.origin());
  }
  EXPECT_THAT(origins, testing::IsSupersetOf({"prior", "neighbour", "model"}));
}

TEST(TuningSessionTest, ACandidateThatFailsCostsItselfAlone) {
  FakeMeasurer measurer([](const std::string& schedule) {
    return schedule.find("tile y n 8 by 8") != std::string::npos ? 0 : Cost(schedule);
  });
  NoCostModel model;
  FakeClock clock;
  TuningSession session({Matmul("a", 64, 1)}, Options(), model, Builder("tile y n 24"), measurer,
                        nullptr, clock);
  ASSERT_TRUE(session.Run(kNever, kIgnore).ok());
  const WorkloadState& state = session.state().workloads[0];
  EXPECT_GT(state.failures, 0);
  EXPECT_GT(state.best_ns, 0);
  ASSERT_EQ(state.trials.size(), 24u);
  EXPECT_EQ(std::count_if(state.trials.begin(), state.trials.end(),
                          [](const Trial& trial) { return trial.failure != pb::OK; }),
            state.failures);
}

TEST(TuningSessionTest, SaysWhenNothingCompiles) {
  FakeMeasurer measurer(Cost);
  NoCostModel model;
  FakeClock clock;
  TuningSession session({Matmul("a", 64, 1)}, Options(), model, Builder("schedule"), measurer,
                        nullptr, clock);
  ASSERT_TRUE(session.Run(kNever, kIgnore).ok());
  EXPECT_THAT(session.state().workloads[0].reason, testing::HasSubstr("refused"));
  EXPECT_EQ(session.state().workloads[0].best_ns, 0);
  EXPECT_TRUE(measurer.batches.empty());
}

TEST(TuningSessionTest, StopsWhenCancelled) {
  FakeMeasurer measurer(Cost);
  NoCostModel model;
  FakeClock clock;
  TuningSession session({Matmul("a", 64, 1)}, Options(), model, Builder(), measurer, nullptr,
                        clock);
  ASSERT_TRUE(session.Run([&] { return !measurer.batches.empty(); }, kIgnore).ok());
  EXPECT_TRUE(session.state().finished);
  EXPECT_LT(session.state().trials, 24);
}

TEST(TuningSessionTest, DuelsWaitNoLongerThanTheSessionsTimeAllows) {
  const auto patience_ms = [](int64_t time_max_ms) {
    FakeMeasurer measurer(Cost);
    NoCostModel model;
    FakeClock clock;
    TuningOptions options = Options();
    options.time_max_ms = time_max_ms;
    TuningSession session({Matmul("a", 64), Matmul("b", 96)}, options, model, Builder(), measurer,
                          nullptr, clock);
    EXPECT_TRUE(session.Run(kNever, kIgnore).ok());
    std::vector<int64_t> of_duels;
    for (const pb::Batch& batch : measurer.batches) {
      if (batch.final()) of_duels.push_back(batch.patience_ms());
    }
    return of_duels;
  };
  EXPECT_THAT(patience_ms(0), testing::ElementsAre(testing::Gt(0), 0))
      << "the first has a later moment, the last as long as it takes";
  EXPECT_THAT(patience_ms(2000), testing::AllOf(testing::SizeIs(2), testing::Each(testing::Gt(0)),
                                                testing::Each(testing::Le(1000))));
}

TEST(TuningSessionTest, ADuelThatWasPutOffWaitsUntilAllElseWasTried) {
  FakeMeasurer measurer(Cost);
  std::string order;  // a letter for each batch: a search's, a duel
  measurer.held_back = [&](int) {
    order.clear();
    for (const pb::Batch& batch : measurer.batches) order += batch.final() ? 'D' : 's';
    return std::count(order.begin(), order.end(), 'D') == 1 && order.back() == 'D';
  };
  NoCostModel model;
  FakeClock clock;
  TuningSession session({Matmul("a", 2), Matmul("b", 96), Matmul("c", 64)}, Options(), model,
                        Builder(), measurer, nullptr, clock);
  ASSERT_TRUE(session.Run(kNever, kIgnore).ok());
  EXPECT_EQ(std::count(order.begin(), order.end(), 'D'), 4) << order;
  const size_t first = order.find('D');
  ASSERT_LT(first, order.rfind('s'));
  EXPECT_EQ(measurer.batches.back().workload(), measurer.batches[first].workload()) << order;
}

TEST(TuningSessionTest, StopsWhenTimeIsUp) {
  FakeMeasurer measurer(Cost);
  NoCostModel model;
  FakeClock clock;
  TuningOptions options = Options();
  options.time_max_ms = 5;
  TuningSession session({Matmul("a", 64, 1)}, options, model, Builder(), measurer, nullptr, clock);
  ASSERT_TRUE(session.Run(kNever, kIgnore).ok());
  EXPECT_LT(session.state().trials, 24);
  EXPECT_EQ(session.state().workloads[0].reason, "time is up");
}

}  // namespace
}  // namespace hone
