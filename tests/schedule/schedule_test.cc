#include "compiler/schedule/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/schedule/scan.h"

namespace hone {
namespace {

using testing::HasSubstr;

Workload Convolution() {
  return *Workload::Parse(
      "workload/1\n"
      "input x f32 [1,8,9,9]\n"
      "constant w f32 [16,8,3,3]\n"
      "output y f32 [1,16,9,9]\n"
      "stage c f32 [n:1,o:16,h:9,w:9] sum [i:8,p:3,q:3] = "
      "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
      "stage y f32 [n:1,o:16,h:9,w:9] = max(c[n,o,h,w],0x0p+0)\n");
}

StatusOr<LoopNest> Applied(absl::string_view steps) {
  auto schedule = Schedule::Parse("schedule/1\n" + std::string(steps));
  if (!schedule.ok()) return schedule.status();
  return ApplySchedule(*schedule, Convolution());
}

std::string Refusal(absl::string_view steps) {
  auto nest = Applied(steps);
  EXPECT_FALSE(nest.ok()) << steps;
  return std::string(nest.status().message());
}

TEST(ScheduleTest, ParseErrorsNameLineAndColumn) {
  EXPECT_THAT(Refusal("tile y w ?six\n"),
              HasSubstr("schedule:2:10: expected a number or a parameter"));
  EXPECT_EQ(Refusal("tile y w 6 by six\n"), "schedule:2:15: expected an integer");
  EXPECT_THAT(Refusal("tile y w 6 7\n"), HasSubstr("schedule:2:12: expected the end of the line"));
  EXPECT_THAT(Refusal("layout y 0,1,2,z\n"), HasSubstr("is not a layout"));
}

TEST(ScheduleTest, AnUnknownStepIsTheMarkOfANewerVersion) {
  auto schedule = Schedule::Parse("schedule/1\nteleport y w\n");
  EXPECT_EQ(schedule.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(schedule.status().message()),
              HasSubstr("'teleport' is no schedule step"));
}

TEST(ScheduleTest, RefusalsNameTheStepAndWhatThereIs) {
  EXPECT_THAT(Refusal("tile z w 2\n"), HasSubstr("step 1 (tile z w 2): there is no stage 'z'; the "
                                                 "stages are c, y"));
  EXPECT_THAT(Refusal("tile y v 2\n"), HasSubstr("its loops are n, o, h, w"));
}

TEST(ScheduleTest, LayoutsPlaceEveryElementOnce) {
  EXPECT_TRUE(Applied("layout y 0,1/8,2,3,1%8\n").ok());
  EXPECT_TRUE(Applied("layout y 0,1/16,2,3,1/8%2,1%8\n").ok());
  EXPECT_THAT(Refusal("layout y 0,1/8,2,3,1%4\n"), HasSubstr("exactly once"));
  EXPECT_THAT(Refusal("layout y 0,1/8,2,3\n"), HasSubstr("exactly once"));
  EXPECT_THAT(Refusal("layout y 0,1\n"), HasSubstr("4 dimensions"));
}

TEST(ScheduleTest, FusesOnlyNeighboursOfOneKind) {
  EXPECT_EQ(Applied("fuse y n o\n")->FindStage("y")->order,
            (std::vector<std::string>{"n_o", "h", "w"}));
  EXPECT_THAT(Refusal("fuse y n h\n"), HasSubstr("does not follow"));
  EXPECT_THAT(Refusal("fuse c w i\n"), HasSubstr("one loop reduces"));
}

TEST(ScheduleTest, CurvesGoThroughPointsOfTheStage) {
  EXPECT_EQ(Applied("hilbert y h w\nparallel y n\n")->FindStage("y")->order,
            (std::vector<std::string>{"n", "o", "h_w"}));
  EXPECT_TRUE(Applied("hilbert y n o\nparallel y n_o\n").ok());
  EXPECT_THAT(Refusal("hilbert y n h\n"), HasSubstr("does not follow"));
  EXPECT_THAT(Refusal("hilbert c p q\n"), HasSubstr("loop 'p' reduces"));
  EXPECT_THAT(Refusal("hilbert y h w\nvectorize y h_w\n"),
              HasSubstr("follows a Hilbert curve; it can run serially or in parallel"));
  EXPECT_THAT(Refusal("hilbert y h w\ntile y h_w 9\nunroll y h_w.1\n"),
              HasSubstr("follows a Hilbert curve"));
}

TEST(ScheduleTest, ReductionsCanBeVectorizedButNotShared) {
  EXPECT_TRUE(Applied("vectorize c i\n").ok());
  EXPECT_THAT(Refusal("at c y h\nreorder c i p q n o h w\nvectorize c q\nmicrokernel c i\n"),
              HasSubstr("points of the stage"));
  EXPECT_THAT(Refusal("at c y h\nreorder c i p q n o h w\nmicrokernel c i\nvectorize c q\n"),
              HasSubstr("points of the stage"));
  EXPECT_THAT(Refusal("parallel c p\n"), HasSubstr("depend on each other"));
  EXPECT_TRUE(Applied("unroll c p\n").ok());
}

TEST(ScheduleTest, PreparesOnlyWhatDependsOnConstants) {
  EXPECT_TRUE(Applied("cache w c\nprepare w@c\n").ok());
  EXPECT_THAT(Refusal("cache x c\nprepare x@c\n"), HasSubstr("more than constants"));
}

TEST(ScheduleTest, AttachesWhereAllReadersAre) {
  EXPECT_TRUE(Applied("at c y h\n").ok());
  EXPECT_THAT(Refusal("at y c h\n"), HasSubstr("is an output"));
  EXPECT_THAT(Refusal("cache x c\nat x@c y h\n"), HasSubstr("is not computed in 'y'"));
}

TEST(ScheduleTest, MicrokernelsNeedAPlaceAndReducingLoopsOutside) {
  EXPECT_THAT(Refusal("microkernel c i\n"), HasSubstr("must be computed inside its reader"));
  EXPECT_THAT(Refusal("at c y h\nmicrokernel c i\n"), HasSubstr("does not reduce"));
  EXPECT_TRUE(Applied("at c y h\nreorder c i p q n o h w\nmicrokernel c q\n").ok());
}

TEST(ScheduleTest, CachingTakesThePaddingAlong) {
  auto nest = Applied("cache x c\n");
  ASSERT_TRUE(nest.ok());
  EXPECT_TRUE(nest->FindStage("x@c")->stage.body->has_otherwise);
  Visit(nest->FindStage("c")->stage.body, [](const Expr& e) { EXPECT_FALSE(e->has_otherwise); });
}

TEST(ScheduleTest, WinogradIsAnotherSetOfStages) {
  auto nest = Applied("winograd c h 2\nwinograd c.m w 2\n");
  ASSERT_TRUE(nest.ok()) << nest.status();
  std::vector<std::string> names;
  for (const StageNest& stage : nest->stages) names.push_back(stage.stage.name);
  EXPECT_THAT(names,
              testing::ElementsAre("c.d", "c.g", "c.m.d", "c.m.g", "c.m.m", "c.m", "c", "y"));
  const Stage& products = nest->FindStage("c.m.m")->stage;
  EXPECT_EQ(products.reduce.size(), 1);
  EXPECT_TRUE(products.dims[0].extent.IsInt(4));
  EXPECT_TRUE(products.dims[4].extent.IsInt(5)) << "nine rows are five tiles";
}

TEST(ScheduleTest, WinogradIsForConvolutionsOfStrideOne) {
  EXPECT_THAT(Refusal("winograd y h 2\n"), HasSubstr("no convolution of stride 1 along 'h'"));
  EXPECT_THAT(Refusal("winograd c o 2\n"), HasSubstr("no convolution of stride 1 along 'o'"));
  EXPECT_THAT(Refusal("winograd c v 2\n"), HasSubstr("no dimension 'v'"));
  EXPECT_THAT(Refusal("winograd c h 9\n"), HasSubstr("tiles of 9 with 3 taps"));
  EXPECT_THAT(Refusal("tile c h 2\nwinograd c h 2\n"), HasSubstr("before any other step"));
}

TEST(ScheduleTest, StrassenMakesSevenProductsOfHalves) {
  auto nest = Applied("im2col c\nstrassen c h o i 8\n");
  ASSERT_TRUE(nest.ok()) << nest.status();
  std::vector<std::string> names;
  for (const StageNest& stage : nest->stages) names.push_back(stage.stage.name);
  EXPECT_THAT(names, testing::ElementsAre("c.p", "c.d", "c.g", "c.m", "c", "y"));
  const Stage& products = nest->FindStage("c.m")->stage;
  EXPECT_TRUE(products.dims[0].extent.IsInt(7));
  EXPECT_TRUE(products.dims[2].extent.IsInt(8)) << "of 16 channels";
  EXPECT_TRUE(products.dims[3].extent.IsInt(5)) << "of nine rows";
  EXPECT_TRUE(products.reduce[0].extent.IsInt(4)) << "of 8 channels";
}

TEST(ScheduleTest, StrassenIsForProductsOfMatrices) {
  EXPECT_THAT(Refusal("strassen c h o i 8\n"), HasSubstr("no product of matrices along 'h', 'o'"));
  EXPECT_THAT(Refusal("strassen c v o i 8\n"), HasSubstr("no dimension 'v'"));
  EXPECT_THAT(Refusal("strassen c h o w 8\n"), HasSubstr("no reduced dimension 'w'"));
  EXPECT_THAT(Refusal("strassen c n o i 8\n"), HasSubstr("extent below 2"));
  EXPECT_THAT(Refusal("strassen c h o i 16\n"), HasSubstr("blocks of 16 among 16 columns"));
  EXPECT_THAT(Refusal("strassen c h o i 0\n"), HasSubstr("blocks of 0"));
  EXPECT_THAT(Refusal("tile c h 2\nstrassen c h o i 8\n"), HasSubstr("before any other step"));
}

TEST(ScheduleTest, Im2colReadsPatchesPointByPoint) {
  auto nest = Applied("im2col c\n");
  ASSERT_TRUE(nest.ok()) << nest.status();
  std::vector<std::string> names;
  for (const StageNest& stage : nest->stages) names.push_back(stage.stage.name);
  EXPECT_THAT(names, testing::ElementsAre("c.p", "c", "y"));
  const Stage& patches = nest->FindStage("c.p")->stage;
  EXPECT_EQ(nest->FindStage("c.p")->order,
            (std::vector<std::string>{"n", "h", "w", "i", "p", "q"}));
  EXPECT_EQ(patches.combiner, Combiner::kNone);
  EXPECT_TRUE(patches.body->has_otherwise) << "the patches hold the padding";
  Visit(nest->FindStage("c")->stage.body, [](const Expr& e) {
    if (e.kind() != ExprKind::kLoad) return;
    EXPECT_NE(e->name, "x");
    EXPECT_FALSE(e->has_otherwise);
    for (const Expr& index : Indices(e)) EXPECT_EQ(index.kind(), ExprKind::kVar);
  });
}

TEST(ScheduleTest, TheSumOverPatchesIsOneLoop) {
  auto nest = Applied("im2col c\nfuse c i p\nfuse c i_p q\ntile c i_p_q 9\n");
  ASSERT_TRUE(nest.ok()) << nest.status();
  EXPECT_EQ(nest->FindStage("c")->order,
            (std::vector<std::string>{"n", "o", "h", "w", "i_p_q.0", "i_p_q.1"}));
}

TEST(ScheduleTest, Im2colGoesWithOtherAlgorithms) {
  auto split = Applied("im2col c\nsplit c 3\nprepare w@c\n");
  ASSERT_TRUE(split.ok()) << split.status();
  EXPECT_EQ(split->FindStage("c.p@c")->stage.dims.size(), 7) << "parts of the patches";
  EXPECT_TRUE(Applied("winograd c h 2\nim2col c.m\n").ok());
  EXPECT_TRUE(Applied("im2col c\npad c i 32\n").ok());
}

TEST(ScheduleTest, Im2colIsForSumsOverOneKindOfWindow) {
  EXPECT_THAT(Refusal("im2col y\n"), HasSubstr("stage 'y' is no sum over windows"));
  EXPECT_THAT(Refusal("im2col c\nim2col c\n"), HasSubstr("stage 'c' reads no windows"));
  EXPECT_THAT(Refusal("split c 3\nim2col c\n"), HasSubstr("reads 2 kinds of windows"));
  EXPECT_THAT(Refusal("tile c h 2\nim2col c\n"), HasSubstr("before any other step"));
  EXPECT_THAT(Refusal("im2col z\n"), HasSubstr("there is no stage 'z'"));
}

TEST(ScheduleTest, Im2colTakesReadsThatSkipForWindows) {
  const Workload workload = *Workload::Parse(
      "workload/1\ninput x f32 [8,9]\nconstant w f32 [8,4]\noutput y f32 [4,5]\n"
      "stage y f32 [o:4,h:5] sum [i:8] = x[i,h*2]*w[i,o]\n");
  auto nest = ApplySchedule(*Schedule::Parse("schedule/1\naccumulate y\nim2col y.a\n"), workload);
  ASSERT_TRUE(nest.ok()) << nest.status();
  EXPECT_EQ(nest->FindStage("y.a.p")->order, (std::vector<std::string>{"h", "i"}));
}

TEST(ScheduleTest, FlatteningMakesOneDimOfTwo) {
  auto nest = Applied("im2col c\nflatten c.p h w\nflatten c h w\n");
  ASSERT_TRUE(nest.ok()) << nest.status();
  EXPECT_EQ(nest->FindStage("c.p")->order, (std::vector<std::string>{"n", "h_w", "i", "p", "q"}));
  const Stage& sums = nest->FindStage("c")->stage;
  EXPECT_EQ(sums.dims[2].name, "h_w");
  Visit(sums.body, [](const Expr& e) {
    if (e.kind() != ExprKind::kLoad) return;
    for (const Expr& index : Indices(e)) EXPECT_EQ(index.kind(), ExprKind::kVar);
  });
  auto reduced = Applied("flatten c p q\n");
  ASSERT_TRUE(reduced.ok()) << reduced.status();
  EXPECT_EQ(reduced->FindStage("c")->stage.reduce[1].name, "p_q");
}

TEST(ScheduleTest, FlatteningIsForDimsOfInnerStages) {
  EXPECT_THAT(Refusal("flatten y h w\n"), HasSubstr("'y' is an output, whose dims are given"));
  EXPECT_THAT(Refusal("flatten c w i\n"), HasSubstr("'w' and 'i' are no two dims of 'c'"));
  EXPECT_THAT(Refusal("flatten c h v\n"), HasSubstr("no two dims"));
  EXPECT_THAT(Refusal("flatten c h h\n"), HasSubstr("no two dims"));
  EXPECT_THAT(Refusal("tile c h 2\nflatten c h w\n"), HasSubstr("before any other step"));
  EXPECT_THAT(Refusal("layout c 0,2,3,1\nflatten c h w\n"), HasSubstr("before any other step"));
  EXPECT_THAT(Refusal("flatten z h w\n"), HasSubstr("there is no stage 'z'"));
}

TEST(ScheduleTest, EveryNumericsClassAllowsIm2colAndFlattening) {
  const Schedule schedule = *Schedule::Parse("schedule/1\nim2col c\nflatten c h w\n");
  for (Numerics numerics : {Numerics::kStrict, Numerics::kFp32, Numerics::kFast}) {
    EXPECT_TRUE(CheckAlgorithms(schedule, numerics).ok());
  }
}

TEST(ScheduleTest, SplittingMakesSumsOfProductsOfBf16Parts) {
  for (const auto& [terms, parts] : {std::pair{1, 1}, {3, 2}, {6, 3}}) {
    auto nest = Applied(absl::StrCat("split c ", terms, "\nprepare w@c\n"));
    ASSERT_TRUE(nest.ok()) << nest.status();
    for (const char* operand : {"x@c", "w@c"}) {
      const Stage& stage = nest->FindStage(operand)->stage;
      EXPECT_EQ(stage.dtype, DType::kBF16);
      EXPECT_TRUE(stage.dims[0].extent.IsInt(parts));
    }
    const Stage& sum = nest->FindStage("c")->stage;
    EXPECT_EQ(sum.dtype, DType::kF32);
    int products = 0;
    Visit(sum.body, [&](const Expr& e) {
      products += e.kind() == ExprKind::kBinary && e->binary == BinaryOp::kMul;
      const bool is_load = e.kind() == ExprKind::kLoad;
      EXPECT_FALSE(is_load && e->has_otherwise) << "the parts hold padding";
    });
    EXPECT_EQ(products, terms);
  }
}

TEST(ScheduleTest, TheProductsOfWinogradCanBeSplit) {
  EXPECT_TRUE(Applied("winograd c h 2\nsplit c.m 6\nprepare c.g\nprepare c.g@c.m\n").ok());
  EXPECT_THAT(Refusal("split c 6\nwinograd c h 2\n"), HasSubstr("no convolution"));
}

TEST(ScheduleTest, SplittingIsForSumsOfProducts) {
  EXPECT_THAT(Refusal("split y 3\n"), HasSubstr("no sum of products of two f32 reads"));
  EXPECT_THAT(Refusal("split c 2\n"), HasSubstr("1, 3 or 6 terms to keep, not 2"));
  EXPECT_THAT(Refusal("split c 1\nsplit c 1\n"), HasSubstr("no sum of products"));
  EXPECT_THAT(Refusal("tile c h 2\nsplit c 3\n"), HasSubstr("before any other step"));
}

TEST(ScheduleTest, BlocksOfTilesAreOneStepOfTheReductionWithRowsAndColumns) {
  const std::string split = "pad c i 32\nsplit c 3\ntile y w 16\nat c y h\ntile c i 32\n";
  const std::string in_order = "reorder c p q i.0 i.1 n h w o\n";
  auto nest = Applied(split + in_order + "tensorize c i.1 tdpbf16ps\n");
  ASSERT_TRUE(nest.ok()) << nest.status();
  EXPECT_EQ(nest->FindStage("c")->tile_intrinsic, "tdpbf16ps");
  EXPECT_TRUE(nest->FindStage("w@c")->stage.body.kind() == ExprKind::kSelect);
  EXPECT_THAT(Refusal("split c 3\ntensorize c i tdpbf16ps\n"), HasSubstr("inside its reader"));
  EXPECT_THAT(Refusal(split + "tensorize c i.1 tdpbf16ps\n"), HasSubstr("does not reduce"));
  EXPECT_THAT(Refusal(split + in_order + "tensorize c i.1 tdpbssd\n"), HasSubstr("no sum of i32"));
  EXPECT_THAT(Refusal(split + "reorder c p q i.0 i.1 n o h w\ntensorize c i.1 tdpbf16ps\n"),
              HasSubstr("one counts rows, one columns"));
  EXPECT_THAT(Refusal("split c 1\nat c y h\nreorder c p q i n h w o\n"
                      "tensorize c i tdpbf16ps\n"),
              HasSubstr("a loop that reduces 32 points"));
  EXPECT_THAT(
      Refusal("pad c i 32\nat c y h\ntile c i 32\n" + in_order + "tensorize c i.1 tdpbf16ps\n"),
      HasSubstr("multiplies rows of bf16 by columns of bf16"));
}

TEST(ScheduleTest, PaddingLengthensSumsByZeros) {
  auto nest = Applied("pad c i 24\n");
  ASSERT_TRUE(nest.ok()) << nest.status();
  const Stage& sum = nest->FindStage("c")->stage;
  EXPECT_TRUE(sum.reduce[0].extent.IsInt(24));
  Visit(sum.body,
        [](const Expr& e) { EXPECT_TRUE(e.kind() != ExprKind::kLoad || e->has_otherwise); });
  EXPECT_THAT(Refusal("pad c o 24\n"), HasSubstr("does not reduce over 'o'"));
  EXPECT_THAT(Refusal("pad y h 24\n"), HasSubstr("does not reduce over 'h'"));
  EXPECT_THAT(Refusal("pad c i 0\n"), HasSubstr("not positive"));
}

// Rows of 40 points in blocks of 16, weighted by v.
constexpr char kWeightedSums[] =
    "workload/1\ninput p f32 [6,40]\ninput v f32 [40,9]\noutput y f32 [6,9]\n"
    "stage top f32 [m:6] max [l:40] = p[m,l]\n"
    "stage e f32 [m:6,n:40] = exp(p[m,n]-top[m])\n"
    "stage total f32 [m:6] sum [l:40] = e[m,l]\n"
    "stage inverse f32 [m:6] = 0x1p+0/total[m]\n"
    "stage c f32 [m:6,o:9] sum [l:40] = e[m,l]*v[l,o]\n"
    "stage y f32 [m:6,o:9] = c[m,o]*inverse[m]\n";

std::string RunningRefusal(const std::string& steps, absl::string_view workload = kWeightedSums) {
  const auto nest =
      ApplySchedule(*Schedule::Parse("schedule/1\n" + steps), *Workload::Parse(workload));
  EXPECT_FALSE(nest.ok()) << steps;
  return std::string(nest.status().message());
}

TEST(ScheduleTest, RunningMakesScansOverBlocks) {
  const auto nest = ApplySchedule(*Schedule::Parse("schedule/1\nrunning top 16\n"),
                                  *Workload::Parse(kWeightedSums));
  ASSERT_TRUE(nest.ok()) << nest.status();
  std::vector<std::string> names;
  std::vector<std::string> scans;
  for (const StageNest& stage : nest->stages) {
    names.push_back(stage.stage.name);
    if (FindScan(stage.stage)) scans.push_back(stage.stage.name);
  }
  EXPECT_THAT(names, testing::ElementsAre("top.b", "top.r", "top.s", "top.f", "e", "total.b",
                                          "total.r", "c.b", "c.r", "inverse", "y"));
  EXPECT_THAT(scans, testing::ElementsAre("top.r", "total.r", "c.r"));
  EXPECT_EQ(nest->FindStage("e")->order, (std::vector<std::string>{"m", "l.o", "l.i"}));
  EXPECT_EQ(nest->FindStage("c.r")->order, (std::vector<std::string>{"m", "l.o", "o"}));
  EXPECT_TRUE(nest->FindStage("c.r")->stage.dims[1].extent.IsInt(3));
  EXPECT_TRUE(ReadsLastStepOnly(nest->FindStage("inverse")->stage,
                                nest->FindStage("total.r")->stage,
                                *FindScan(nest->FindStage("total.r")->stage)));
}

TEST(ScheduleTest, RunningIsForSumsOfExponentialsLessTheirMaximum) {
  EXPECT_THAT(RunningRefusal("running c 8\n"), HasSubstr("stage 'c' is no maximum of floats"));
  EXPECT_THAT(RunningRefusal("running top 0\n"), HasSubstr("at least 1 point"));
  EXPECT_THAT(RunningRefusal("tile e n 8\nrunning top 8\n"), HasSubstr("before any other step"));
  EXPECT_THAT(RunningRefusal("cache p top\nrunning top 8\n"),
              HasSubstr("no stage is the exponential of what 'top' is the maximum of"));
  EXPECT_THAT(RunningRefusal("running x 8\n",
                             "workload/1\ninput p f32 [6,40]\noutput y f32 [6,40]\n"
                             "stage x f32 [m:6] max [l:40] = p[m,l]\n"
                             "stage e f32 [m:6,n:40] = exp(p[m,n]-x[m])\n"
                             "stage total f32 [m:6] sum [l:40] = e[m,l]\n"
                             "stage y f32 [m:6,n:40] = e[m,n]/total[m]\n"),
              HasSubstr("'y' reads 'e' and is no sum of it, alone or times something, over 'n'"));
  EXPECT_THAT(RunningRefusal("running x 8\n",
                             "workload/1\ninput p f32 [6,40]\noutput y f32 [6]\n"
                             "stage x f32 [m:6] max [l:40] = p[m,l]\n"
                             "stage e f32 [m:6,n:40] = exp(p[m,n]-x[m])\n"
                             "stage total f32 [m:6] sum [l:40] = e[m,l]\n"
                             "stage c f32 [m:6] sum [l:40] = e[m,l]*total[m]\n"
                             "stage y f32 [m:6] = c[m]\n"),
              HasSubstr("'c' needs the last step of what it is a part of"));
}

TEST(ScheduleTest, StepsOfScansComeOneAfterTheOther) {
  for (const char* step : {"tile c.r l.o 2\n", "fuse c.r m l.o\n", "fuse c.r l.o o\n",
                           "vectorize top.r l.o\n", "parallel c.r l.o\n"}) {
    EXPECT_THAT(RunningRefusal(absl::StrCat("running top 8\n", step)),
                HasSubstr("goes over the steps of a scan"))
        << step;
  }
  EXPECT_THAT(RunningRefusal("running top 8\ninline top.r\n"), HasSubstr("goes on from itself"));
  EXPECT_THAT(RunningRefusal("running top 8\ncache c.r c.r\n"), HasSubstr("reads of itself"));
  EXPECT_THAT(RunningRefusal("running top 8\nat c.r total.r l.o\n"),
              HasSubstr("'y' reads 'c.r' and is not computed in 'total.r'"));
}

TEST(CheckAlgorithmsTest, SumsAreRescaledInEveryClassButStrict) {
  const Schedule schedule = *Schedule::Parse("schedule/1\nrunning top 8\n");
  EXPECT_FALSE(CheckAlgorithms(schedule, Numerics::kStrict).ok());
  for (Numerics numerics : {Numerics::kFp32, Numerics::kFast, Numerics::kBf16, Numerics::kInt8}) {
    EXPECT_TRUE(CheckAlgorithms(schedule, numerics).ok());
  }
}

TEST(CheckAlgorithmsTest, AsManyTermsAsTheClassNeeds) {
  auto allows = [](Numerics numerics, int terms) {
    const auto schedule = Schedule::Parse(absl::StrCat("schedule/1\nsplit c ", terms, "\n"));
    return CheckAlgorithms(*schedule, numerics).ok();
  };
  for (int terms : {1, 3, 6}) {
    EXPECT_FALSE(allows(Numerics::kStrict, terms));
    EXPECT_EQ(allows(Numerics::kFp32, terms), terms == 6);
    EXPECT_EQ(allows(Numerics::kFast, terms), terms >= 3);
    EXPECT_TRUE(allows(Numerics::kBf16, terms));
  }
}

TEST(ScheduleTest, KnowsTheLayoutsAtTheBoundary) {
  auto schedule = Schedule::Parse(
      "schedule/1\nlayout y 0,1/8,2,3,1%8\ncache w c\n"
      "layout w@c 0/16,1,2,3,0%16\n");
  EXPECT_EQ(schedule->BoundaryLayoutText(Convolution()), "y 0,1/8,2,3,1%8");
}

int64_t Points(const std::vector<TileStretch>& stretches) {
  int64_t points = 0;
  for (const TileStretch& stretch : stretches) {
    EXPECT_TRUE(stretch.offset.IsInt(points));
    points += stretch.count->int_value * stretch.size;
  }
  return points;
}

TEST(ScheduleReaderTest, ReadsAsTheParserDoesWhateverItHasReadBefore) {
  ScheduleReader reader;
  for (const char* lines :
       {"schedule/1\ntile y o 16 by 8\ntile y w 6\nreorder y o.0 h w.0 w.1 o.1\n",
        "schedule/1\ntile y  o 16 by 8 # as before\ntile y w 4\n\nunroll y w.1", "schedule/1\n",
        " # not as it is printed\nschedule/1\ntile y w 6\n"}) {
    const StatusOr<Schedule> parsed = Schedule::Parse(lines);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    std::string text;
    const StatusOr<Schedule> read = reader.Read(lines, &text);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, *parsed);
    EXPECT_EQ(text, parsed->ToString());
  }
  for (const char* lines :
       {"schedule/1\ntile y o 16 by 8\ntile y w six\n", "schedule/2\n", "schedule/1\nfold y\n"}) {
    EXPECT_EQ(reader.Read(lines, nullptr).status(), Schedule::Parse(lines).status());
  }
}

TEST(TileStretchesTest, CoverEveryExtentOnceWithoutThinTails) {
  for (int64_t extent = 0; extent < 60; ++extent) {
    for (int64_t size = 1; size < 20; ++size) {
      const std::vector<TileStretch> stretches = TileStretches(Int(extent), size, 0);
      EXPECT_EQ(Points(stretches), extent);
      ASSERT_LE(stretches.size(), 2u);
      if (stretches.size() == 2) {
        EXPECT_EQ(stretches[0].size, stretches[1].size + 1);
        EXPECT_LE(stretches[0].size, size);
      }
    }
  }
}

TEST(TileStretchesTest, KeepToMultiplesWhileTheyLast) {
  for (int64_t extent = 0; extent < 80; ++extent) {
    EXPECT_EQ(Points(TileStretches(Int(extent), 16, 8)), extent);
  }
  const std::vector<TileStretch> stretches = TileStretches(Int(44), 16, 8);
  ASSERT_EQ(stretches.size(), 3u);
  EXPECT_EQ(stretches[1].size, 8);
  EXPECT_EQ(stretches[2].size, 1);
}

}  // namespace
}  // namespace hone
