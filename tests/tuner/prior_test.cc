#include "tuner/prior/prior.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tuner/space/derive.h"

namespace hone {
namespace {

Target Avx2(int threads = 1) {
  Target target;
  target.features = {"avx", "avx2", "fma"};
  target.threads = threads;
  target.cores = threads;
  target.l3_bytes = 32 << 20;
  return target;
}

constexpr char kConvolution[] =
    "workload/1\n"
    "input x f32 [1,64,56,56]\n"
    "constant w f32 [64,64,3,3]\n"
    "output y f32 [1,64,56,56]\n"
    "stage c f32 [n:1,o:64,h:56,w:56] sum [i:64,p:3,q:3] = "
    "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
    "stage y f32 [n:1,o:64,h:56,w:56] = max(c[n,o,h,w],0x0p+0)\n";

constexpr char kSchedule[] =
    "schedule/1\n"
    "layout x 0,1/8,2,3,1%8\n"
    "layout y 0,1/8,2,3,1%8\n"
    "cache w c\n"
    "layout w@c 0/$W,1/8,2,3,1%8,0%$W\n"
    "prepare w@c\n"
    "cache x c\n"
    "layout x@c 0,1/8,2,3,1%8\n"
    "tile y o $W by 8\n"
    "tile y w $R\n"
    "reorder y n h o.0 w.0 w.1 o.1\n"
    "unroll y w.1\n"
    "vectorize y o.1\n"
    "at c y w.0\n"
    "tile c i 8\n"
    "reorder c i.0 p q i.1 n h w o\n"
    "vectorize c o\n"
    "microkernel c i.1\n"
    "at x@c y h\n";

NestFacts FactsOf(absl::string_view schedule_text, const Target& target) {
  auto workload = Workload::Parse(kConvolution);
  auto schedule = Schedule::Parse(schedule_text);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  auto nest = ApplySchedule(*schedule, *workload);
  EXPECT_TRUE(nest.ok()) << nest.status();
  return AnalyzeNest(*nest, target);
}

NestFacts ConvolutionFacts(int width, int rows) {
  return FactsOf(
      absl::StrReplaceAll(kSchedule, {{"$W", absl::StrCat(width)}, {"$R", absl::StrCat(rows)}}),
      Avx2());
}

const StageFacts& StageOf(const NestFacts& facts, absl::string_view name) {
  for (const StageFacts& stage : facts.stages) {
    if (stage.stage == name) return stage;
  }
  ADD_FAILURE() << "no stage " << std::string(name);
  return facts.stages.front();
}

const TensorFacts& TensorOf(const StageFacts& stage, absl::string_view name) {
  for (const TensorFacts& tensor : stage.tensors) {
    if (tensor.tensor == name) return tensor;
  }
  ADD_FAILURE() << "no tensor " << std::string(name);
  return stage.tensors.front();
}

double CostOf(int width, int rows) {
  const Target target = Avx2();
  return EstimateCost(ConvolutionFacts(width, rows), target, MachineProfile::For(target)).total_ns;
}

TEST(NestFactsTest, CountsTheConvolution) {
  const NestFacts facts = ConvolutionFacts(16, 6);
  const StageFacts& c = StageOf(facts, "c");
  EXPECT_DOUBLE_EQ(c.points, 64.0 * 56 * 56 * 64 * 9);
  EXPECT_EQ(c.operations, 1);
  EXPECT_EQ(c.vectors, 2);
  EXPECT_NEAR(c.rows, 5.6, 1e-9);  // 56 in 10 balanced tiles
  EXPECT_EQ(c.depth, 8);
  EXPECT_EQ(c.lanes, 8);
  EXPECT_NEAR(c.block_loads, 8 * (2 + 5.6), 1e-6);
  EXPECT_NEAR(c.invocations, 4 * 56 * 10, 1e-6);
  EXPECT_NEAR(c.tail_use, 1, 1e-9);
  // The copy holds three rows of the padded input.
  const StageFacts& copy = StageOf(facts, "x@c");
  EXPECT_NEAR(copy.points, 56.0 * 64 * 3 * 56, 64.0 * 3 * 56 * 56 * 0.05);
}

// A copy with the border has its zeros multiplied; where the border is read in place it is left
// out.
TEST(NestFactsTest, PaddingReadInPlaceIsNotCounted) {
  const std::string in_place = absl::StrReplaceAll(kSchedule, {{"cache x c\n", ""},
                                                               {"layout x@c 0,1/8,2,3,1%8\n", ""},
                                                               {"at x@c y h\n", ""},
                                                               {"$W", "16"},
                                                               {"$R", "6"}});
  const double taps = 56 * 3 - 2;  // of each direction
  EXPECT_DOUBLE_EQ(StageOf(FactsOf(in_place, Avx2()), "c").points, 64.0 * 64 * taps * taps);
}

TEST(NestFactsTest, WeightsAreReadAgainForEveryRowOfTheImage) {
  const NestFacts facts = ConvolutionFacts(16, 6);
  const TensorFacts& w = TensorOf(StageOf(facts, "c"), "w@c");
  EXPECT_TRUE(w.constant);
  EXPECT_NEAR(w.bytes, 64 * 64 * 9 * 4, 1);
  // 147 KB of weights do not stay in 32 KB, but do in 512 KB.
  EXPECT_GE(w.l1_miss_bytes, 56 * w.bytes * 0.99);
  EXPECT_NEAR(w.l2_miss_bytes, w.bytes, w.bytes * 0.01);
}

// Two sums and two differences of the same two values, in one block or point by point.
TEST(NestFactsTest, WhatIsWrittenOutTogetherSharesItsValues) {
  const Workload workload = *Workload::Parse(
      "workload/1\ninput x f32 [64,16]\ninput z f32 [64,16]\noutput y f32 [64,4,16]\n"
      "stage y f32 [r:64,k:4,c:16] = select(k<2,select(k==0,x[r,c]+z[r,c],x[r,c]-z[r,c]),"
      "exp(select(k==2,x[r,c]+z[r,c],x[r,c]-z[r,c])))\n");
  const auto facts = [&](const std::string& steps) {
    const auto nest =
        ApplySchedule(*Schedule::Parse("schedule/1\nvectorize y c\n" + steps), workload);
    EXPECT_TRUE(nest.ok()) << nest.status();
    return AnalyzeNest(*nest, Avx2()).stages[0];
  };
  const StageFacts apart = facts("");
  EXPECT_EQ(apart.operations, 21) << "of the dearest point";
  const StageFacts together = facts("unroll y k\n");
  EXPECT_EQ(together.operations, (1 + 1 + 20 + 20) / 4.0);
  EXPECT_EQ(together.rows, 4);
  EXPECT_EQ(together.blocks * 4, apart.blocks);
  EXPECT_LT(together.block_loads, 4 * apart.block_loads);
}

TEST(PriorTest, PrefersTilesThatFillTheRegisters) {
  EXPECT_LT(CostOf(16, 6), CostOf(8, 2));
  EXPECT_LT(CostOf(16, 6), CostOf(16, 1));
  EXPECT_LT(CostOf(16, 6), CostOf(16, 14));  // spills
}

TEST(PriorTest, IsNotFarFromThePeakForAGoodTile) {
  const Target target = Avx2();
  auto workload = Workload::Parse(kConvolution);
  const double roofline =
      RooflineOf(*workload, FlopCount(*workload), target, MachineProfile::For(target)).ns;
  EXPECT_GT(CostOf(16, 6), roofline);
  EXPECT_LT(CostOf(16, 6), 2 * roofline);
}

// 64 MB go by once: from memory they come faster in several streams.
TEST(PriorTest, PanelsSideBySideComeFasterFromMemory) {
  const Target target = Avx2();
  auto workload = Workload::Parse(
      "workload/1\ninput x f32 [1,4096]\nconstant w f32 [4096,4096]\noutput y f32 [1,4096]\n"
      "stage c f32 [m:1,n:4096] sum [k:4096] = x[m,k]*w[k,n]\n"
      "stage y f32 [m:1,n:4096] = c[m,n]\n");
  ASSERT_TRUE(workload.ok()) << workload.status();
  double cost[2];
  for (int panel : {8, 64}) {
    auto schedule = Schedule::Parse(
        absl::StrCat("schedule/1\ncache w c\nlayout w@c 1/", panel, ",0/8,0%8,1%", panel,
                     "\nprepare w@c\ntile y n 64 by 8\nvectorize y n.1\nat c y n.0\ntile c k 8\n"
                     "reorder c k.0 k.1 m n\nvectorize c n\nmicrokernel c k.1\n"));
    ASSERT_TRUE(schedule.ok()) << schedule.status();
    auto nest = ApplySchedule(*schedule, *workload);
    ASSERT_TRUE(nest.ok()) << nest.status();
    const NestFacts facts = AnalyzeNest(*nest, target);
    EXPECT_EQ(TensorOf(StageOf(facts, "c"), "w@c").streams, 64 / panel);
    EXPECT_EQ(TensorOf(StageOf(facts, "c"), "x").streams, 1);
    cost[panel / 64] = EstimateCost(facts, target, MachineProfile::For(target)).total_ns;
  }
  EXPECT_LT(cost[0], 0.8 * cost[1]);
}

// Rows of 4096 bytes share places of the first cache; panels do not.
TEST(PriorTest, RowsAPowerOfTwoApartCrowdTheCache) {
  const Target target = Avx2();
  const auto misses = [&](int columns) {
    const std::string n = absl::StrCat(columns);
    auto workload = Workload::Parse(absl::StrReplaceAll(
        "workload/1\ninput x f32 [512,64]\ninput w f32 [64,$N]\noutput y f32 [512,$N]\n"
        "stage c f32 [m:512,n:$N] sum [k:64] = x[m,k]*w[k,n]\n"
        "stage y f32 [m:512,n:$N] = c[m,n]\n",
        {{"$N", n}}));
    auto schedule = Schedule::Parse(
        "schedule/1\ntile y n 16 by 8\ntile y m 6\nreorder y n.0 m.0 m.1 n.1\nunroll y m.1\n"
        "vectorize y n.1\nat c y m.0\ntile c k 4\nreorder c k.0 k.1 m n\nvectorize c n\n"
        "microkernel c k.1\n");
    const NestFacts facts = AnalyzeNest(*ApplySchedule(*schedule, *workload), target);
    const TensorFacts& w = TensorOf(StageOf(facts, "c"), "w");
    return w.l1_miss_bytes / w.bytes;
  };
  EXPECT_NEAR(misses(1008), 1, 0.01);
  EXPECT_GT(misses(1024), 50);
}

TEST(PriorTest, PlainLoopsCostFarMore) {
  const Target target = Avx2();
  const double plain =
      EstimateCost(FactsOf("schedule/1\n", target), target, MachineProfile::For(target)).total_ns;
  EXPECT_GT(plain, 5 * CostOf(16, 6));
}

TEST(PriorTest, ThreadsHelp) {
  const MachineProfile profile = MachineProfile::For(Avx2());
  std::string text =
      absl::StrReplaceAll(kSchedule, {{"$W", "16"}, {"$R", "6"}, {"at x@c y h\n", ""}});
  const double one = EstimateCost(FactsOf(text, Avx2()), Avx2(), profile).total_ns;
  text = absl::StrCat(text, "fuse y n h\nparallel y n_h\n");
  const double two = EstimateCost(FactsOf(text, Avx2(2)), Avx2(2), profile).total_ns;
  EXPECT_LT(two, 0.7 * one);
}

TEST(PriorTest, DefaultScheduleIsLegalAndTiled) {
  auto workload = Workload::Parse(kConvolution);
  const std::vector<Layout> layouts = {*Layout::Parse("0,1/8,2,3,1%8"), Layout::Identity(4),
                                       *Layout::Parse("0,1/8,2,3,1%8")};
  auto schedule = DefaultSchedule(*workload, layouts, Avx2());
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_TRUE(ApplySchedule(*schedule, *workload).ok());
  EXPECT_THAT(schedule->ToString(), testing::HasSubstr("microkernel c"));
  EXPECT_EQ(schedule->BoundaryLayoutText(*workload), "x 0,1/8,2,3,1%8;y 0,1/8,2,3,1%8");
}

TEST(PriorTest, EstimatesAreSortedAndRepeatable) {
  auto workload = Workload::Parse(kConvolution);
  const std::vector<Layout> layouts(3, Layout::Identity(4));
  auto sketches = DeriveSketches(*workload, layouts, Avx2());
  ASSERT_TRUE(sketches.ok());
  const MachineProfile profile = MachineProfile::For(Avx2());
  const auto first = EstimateCandidates(*workload, *sketches, Avx2(), profile, 300);
  const auto second = EstimateCandidates(*workload, *sketches, Avx2(), profile, 300);
  ASSERT_GT(first.size(), 20u);
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].assignment, second[i].assignment);
    if (i > 0) {
      EXPECT_LE(first[i - 1].cost.total_ns, first[i].cost.total_ns);
    }
  }
}

TEST(PriorTest, AnAlgorithmThatComputesLessMovesTheRoofline) {
  auto workload = Workload::Parse(kConvolution);
  const Layout blocked = *Layout::Parse("0,1/8,2,3,1%8");
  const MachineProfile profile = MachineProfile::For(Avx2());
  auto sketches = DeriveSketches(*workload, {blocked, Layout::Identity(4), blocked}, Avx2());
  ASSERT_TRUE(sketches.ok()) << sketches.status();
  const auto candidates = EstimateCandidates(*workload, *sketches, Avx2(), profile, 2000);
  const double saved = FlopCount(*workload) / LeastFlops(*workload, candidates);
  EXPECT_GT(saved, 1.8) << "Winograd's F(2,3) along two dims saves 2.25, its transforms cost some";
  EXPECT_LT(saved, 2.25);
  EXPECT_THAT(candidates[0].schedule, testing::HasSubstr("winograd c h 2"));
}

TEST(PriorTest, StridedReadsOfACopyInPhasesAreVectors) {
  auto workload = Workload::Parse(
      "workload/1\ninput x f32 [1,16,112,112]\nconstant w f32 [32,16,3,3]\n"
      "output y f32 [1,32,56,56]\nstage c f32 [n:1,o:32,h:56,w:56] sum [i:16,p:3,q:3] = "
      "x[n,i,h*2+p+-1,w*2+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
      "stage y f32 [n:1,o:32,h:56,w:56] = max(c[n,o,h,w],0x0p+0)\n");
  ASSERT_TRUE(workload.ok()) << workload.status();
  const std::vector<Layout> plain(3, Layout::Identity(4));
  auto sketches = DeriveSketches(*workload, plain, Avx2());
  ASSERT_TRUE(sketches.ok()) << sketches.status();
  const auto candidates =
      EstimateCandidates(*workload, *sketches, Avx2(), MachineProfile::For(Avx2()), 2000);
  EXPECT_THAT(candidates[0].schedule, testing::HasSubstr("layout x@c 0,1,2,3%2,3/2"));
}

TEST(NestFactsTest, WhatIsMadeAheadCostsNothing) {
  const NestFacts facts = FactsOf(
      "schedule/1\nwinograd c h 2\nwinograd c.m w 2\ninline c\nprepare c.g\nprepare c.m.g\n"
      "at c.g c.m.g d2\n",
      Avx2());
  std::vector<std::string> stages;
  for (const StageFacts& stage : facts.stages) stages.push_back(stage.stage);
  EXPECT_THAT(stages, testing::ElementsAre("c.d", "c.m.d", "c.m.m", "c.m", "y"));
}

TEST(NestFactsTest, OnlyTheFirstStageOfARowFetchesIt) {
  auto workload = Workload::Parse(
      "workload/1\ninput x f32 [1024,512]\noutput y f32 [1024,512]\n"
      "stage s f32 [m:1024] sum [k:512] = x[m,k]\n"
      "stage y f32 [m:1024,n:512] = x[m,n]*s[m]\n");
  ASSERT_TRUE(workload.ok()) << workload.status();
  const auto facts = [&](absl::string_view schedule) {
    auto nest = ApplySchedule(*Schedule::Parse(schedule), *workload);
    EXPECT_TRUE(nest.ok()) << nest.status();
    return AnalyzeNest(*nest, Avx2());
  };
  const NestFacts rows = facts("schedule/1\nat s y m\n");
  EXPECT_EQ(TensorOf(StageOf(rows, "s"), "x").l1_miss_bytes, 1024 * 512 * 4);
  EXPECT_EQ(TensorOf(StageOf(rows, "y"), "x").l1_miss_bytes, 0);
  EXPECT_EQ(TensorOf(StageOf(rows, "y"), "y").l1_miss_bytes, 1024 * 512 * 4);
  const NestFacts stages = facts("schedule/1\n");
  EXPECT_EQ(TensorOf(StageOf(stages, "y"), "x").l1_miss_bytes, 1024 * 512 * 4);
}

TEST(NestFactsTest, WhatStaysInTheCacheIsNotFetchedAgain) {
  const std::string steps =
      "schedule/1\nwinograd c h 2\nwinograd c.m w 2\ninline c\nprepare c.g\nprepare c.m.g\n"
      "tile y h 2\nreorder y n h.0 o h.1 w\nat c.m y h.0\nat c.m.m y h.0\n";
  const auto l2_misses = [](const NestFacts& facts) {
    double bytes = 0;
    for (const StageFacts& stage : facts.stages) {
      if (stage.stage != "c.m.d") continue;
      for (const TensorFacts& tensor : stage.tensors) {
        if (tensor.written) bytes += tensor.l2_miss_bytes;
      }
    }
    return bytes;
  };
  const double whole = l2_misses(FactsOf(steps, Avx2()));
  const double strip = l2_misses(FactsOf(steps + "at c.m.d y h.0\n", Avx2()));
  EXPECT_LT(strip, whole / 10) << "28 strips use the memory of one";
}

}  // namespace
}  // namespace hone
