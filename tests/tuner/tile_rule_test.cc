// Sketches by the tiles of a matrix unit, for a machine that has one: what is derived, that the
// lowered program computes what the oracle says, and that LLVM makes code of it without spills.
// The interpreter runs them, and the machine where it has such a unit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <ostream>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "compiler/compile.h"
#include "tests/lower/oracle_check.h"
#include "tests/support/avx2_target.h"
#include "tests/support/sketch_draws.h"
#include "tuner/prior/prior.h"
#include "tuner/space/derive.h"

namespace hone {
namespace {

using testing::HasSubstr;
using testing::Not;

Target MatrixTarget(int threads = 1) {
  Target target = *Target::Parse(
      "target/1 x86_64 cpu=sapphirerapids features=amx-bf16,amx-int8,amx-tile,avx,avx2,avx512bw,"
      "avx512dq,avx512f,avx512vl,f16c,fma l1=49152 l2=2097152 l3=0 cores=2 threads=1");
  target.threads = threads;
  return target;
}

struct Case {
  const char* name;
  const char* workload;
  std::vector<const char*> layouts;  // one a buffer; "" is the identity
  int64_t l2_bytes = 2 << 20;
};

// gtest prints the parameter of a failed test.
void PrintTo(const Case& c, std::ostream* os) { *os << c.workload; }

const Case kCases[] = {
    {"matmul",
     "workload/1\ninput a f32 [40,70]\nconstant w f32 [70,80]\noutput y f32 [40,80]\n"
     "stage y f32 [m:40,n:80] sum [k:70] = a[m,k]*w[k,n]\n",
     {"", "", ""}},
    {"weights_by_rows",
     "workload/1\ninput a f32 [33,64]\nconstant w f32 [24,64]\nconstant b f32 [24]\n"
     "output y f32 [33,24]\nstage c f32 [m:33,n:24] sum [k:64] = a[m,k]*w[n,k]\n"
     "stage y f32 [m:33,n:24] = max(c[m,n]+b[n],0x0p+0)\n",
     {"", "", "", ""}},
    {"odd_columns",
     "workload/1\ninput a f32 [17,32]\nconstant w f32 [32,45]\noutput y f32 [17,45]\n"
     "stage y f32 [m:17,n:45] sum [k:32] = a[m,k]*w[k,n]\n",
     {"", "", ""}},
    {"long_reduction",
     "workload/1\ninput a f32 [35,512]\nconstant w f32 [512,48]\noutput y f32 [35,48]\n"
     "stage y f32 [m:35,n:48] sum [k:512] = a[m,k]*w[k,n]\n",
     {"", "", ""}},
    {"attention",
     "workload/1\ninput q f32 [3,20,32]\ninput k f32 [3,32,32]\noutput y f32 [3,20,32]\n"
     "stage y f32 [b:3,m:20,n:32] sum [d:32] = q[b,m,d]*k[b,n,d]\n",
     {"", "", ""}},
    {"columns_side_by_side",
     "workload/1\ninput a f32 [2,20,64]\ninput w f32 [2,64,48]\noutput y f32 [2,20,48]\n"
     "stage y f32 [b:2,m:20,n:48] sum [k:64] = a[b,m,k]*w[b,k,n]\n",
     {"", "", ""}},
    {"convolution",
     "workload/1\ninput x f32 [1,8,5,18]\nconstant w f32 [48,8,3,3]\noutput y f32 [1,48,5,18]\n"
     "stage c f32 [n:1,o:48,h:5,w:18] sum [i:8,p:3,q:3] = "
     "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
     "stage y f32 [n:1,o:48,h:5,w:18] = max(c[n,o,h,w],0x0p+0)\n",
     {"0,1/16,2,3,1%16", "", "0,1/16,2,3,1%16"}},
    {"strided_convolution",
     "workload/1\ninput x f32 [2,3,9,13]\nconstant w f32 [16,3,3,3]\noutput y f32 [2,16,5,7]\n"
     "stage y f32 [n:2,o:16,h:5,w:7] sum [i:3,p:3,q:3] = "
     "x[n,i,h*2+p+-1,w*2+q+-1 else 0x0p+0]*w[o,i,p,q]\n",
     {"", "", "0,2,3,1"}},
    {"bf16",
     "workload/1\ninput a bf16 [40,96]\nconstant w bf16 [96,64]\noutput y f32 [40,64]\n"
     "stage y f32 [m:40,n:64] sum [k:96] = f32(a[m,k])*f32(w[k,n])\n",
     {"", "", ""}},
    {"bf16_rows_in_place",
     "workload/1\ninput a bf16 [48,160]\nconstant w bf16 [160,64]\noutput y bf16 [48,64]\n"
     "stage c f32 [m:48,n:64] sum [k:160] = f32(a[m,k])*f32(w[k,n])\n"
     "stage y bf16 [m:48,n:64] = bf16(c[m,n])\n",
     {"", "", ""}},
    {"bf16_rows_in_place_whose_tiles_overlap",
     "workload/1\ninput x bf16 [1,96,49]\nconstant w bf16 [48,96]\noutput y bf16 [1,48,49]\n"
     "stage c f32 [n:1,o:48,m:49] sum [i:96] = f32(x[n,i,m])*f32(w[o,i])\n"
     "stage y bf16 [n:1,o:48,m:49] = bf16(c[n,o,m])\n",
     {"0,1/32,2,1%32", "", "0,1/32,2,1%32"}},
    {"bytes_in_blocks",
     "workload/1\ninput x u8 [1,128,32]\nconstant w i8 [48,128]\noutput y i32 [1,48,32]\n"
     "stage y i32 [n:1,o:48,m:32] sum [i:128] = i32(x[n,i,m])*i32(w[o,i])\n",
     {"0,1/64,2,1%64", "", "0,1/16,2,1%16"}},
    {"blocks_of_rows",
     "workload/1\ninput a f32 [192,64]\nconstant w f32 [64,32]\noutput y f32 [192,32]\n"
     "stage y f32 [m:192,n:32] sum [k:64] = a[m,k]*w[k,n]\n",
     {"", "", ""}},
    {"short_rows",
     "workload/1\ninput x bf16 [1,64,7,7]\nconstant w bf16 [48,64,3,3]\n"
     "output y bf16 [1,48,7,7]\nstage c f32 [n:1,o:48,h:7,w:7] sum [i:64,p:3,q:3] = "
     "f32(x[n,i,h+p+-1,w+q+-1 else 0x0p+0:bf16])*f32(w[o,i,p,q])\n"
     "stage y bf16 [n:1,o:48,h:7,w:7] = bf16(max(c[n,o,h,w],0x0p+0))\n",
     {"0,1/32,2,3,1%32", "", "0,1/16,2,3,1%16"}},
    {"short_rows_that_skip",
     "workload/1\ninput x f32 [1,32,10,12]\nconstant w f32 [32,32]\noutput y f32 [1,32,5,6]\n"
     "stage c f32 [n:1,o:32,h:5,w:6] sum [i:32] = x[n,i,h*2,w*2]*w[o,i]\n"
     "stage y f32 [n:1,o:32,h:5,w:6] = max(c[n,o,h,w],0x0p+0)\n",
     {"0,1/16,2,3,1%16", "", "0,1/16,2,3,1%16"}},
    {"short_rows_of_a_batch",
     "workload/1\ninput a f32 [6,5,70]\nconstant w f32 [70,32]\noutput y f32 [6,5,32]\n"
     "stage y f32 [b:6,m:5,n:32] sum [k:70] = a[b,m,k]*w[k,n]\n",
     {"", "", ""}},
    {"few_channels",
     "workload/1\ninput x bf16 [1,3,17,39]\nconstant w bf16 [32,3,7,7]\n"
     "output y bf16 [1,32,9,20]\nstage c f32 [n:1,o:32,h:9,w:20] sum [i:3,p:7,q:7] = "
     "f32(x[n,i,h*2+p+-3,w*2+q+-3 else 0x0p+0:bf16])*f32(w[o,i,p,q])\n"
     "stage y bf16 [n:1,o:32,h:9,w:20] = bf16(max(c[n,o,h,w],0x0p+0))\n",
     {"", "", "0,1/32,2,3,1%32"}},
    {"few_channels_of_bytes",
     "workload/1\ninput x u8 [1,16,6,18]\nconstant w i8 [32,16,3,3]\noutput y i32 [1,32,6,18]\n"
     "stage y i32 [n:1,o:32,h:6,w:18] sum [i:16,p:3,q:3] = "
     "i32(x[n,i,h+p+-1,w+q+-1 else 0:u8])*i32(w[o,i,p,q])\n",
     {"", "", "0,1/16,2,3,1%16"}},
    {"bytes",
     "workload/1\ninput a u8 [19,130]\nconstant w i8 [130,48]\noutput y i32 [19,48]\n"
     "stage y i32 [m:19,n:48] sum [k:130] = i32(a[m,k])*i32(w[k,n])\n",
     {"", "", ""}},
};

// Whose rows are more than the second cache holds.
const Case kFarCases[] = {
    {"matmul",
     "workload/1\ninput a f32 [40,512]\nconstant w f32 [512,80]\nconstant b f32 [80]\n"
     "output y f32 [40,80]\nstage c f32 [m:40,n:80] sum [k:512] = a[m,k]*w[k,n]\n"
     "stage y f32 [m:40,n:80] = max(c[m,n]+b[n],0x0p+0)\n",
     {"", "", "", ""},
     64 << 10},
    {"batched",
     "workload/1\ninput a f32 [2,35,256]\ninput w f32 [2,256,48]\noutput y f32 [2,35,48]\n"
     "stage y f32 [b:2,m:35,n:48] sum [k:256] = a[b,m,k]*w[b,k,n]\n",
     {"", "", ""},
     64 << 10},
    {"convolution",
     "workload/1\ninput x f32 [1,256,3,18]\nconstant w f32 [32,256,1,3]\n"
     "output y f32 [1,32,3,18]\nstage y f32 [n:1,o:32,h:3,w:18] sum [i:256,p:1,q:3] = "
     "x[n,i,h+p,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n",
     {"0,1/16,2,3,1%16", "", "0,1/16,2,3,1%16"},
     64 << 10},
    {"short_rows",
     "workload/1\ninput x f32 [1,256,7,7]\nconstant w f32 [32,256,1,3]\n"
     "output y f32 [1,32,7,7]\nstage y f32 [n:1,o:32,h:7,w:7] sum [i:256,p:1,q:3] = "
     "x[n,i,h+p,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n",
     {"0,1/16,2,3,1%16", "", "0,1/16,2,3,1%16"},
     64 << 10},
    {"rows_in_place",
     "workload/1\ninput x bf16 [1,256,49]\nconstant w bf16 [48,256]\noutput y bf16 [1,48,49]\n"
     "stage c f32 [n:1,o:48,m:49] sum [i:256] = f32(x[n,i,m])*f32(w[o,i])\n"
     "stage y bf16 [n:1,o:48,m:49] = bf16(c[n,o,m])\n",
     {"0,1/32,2,1%32", "", "0,1/32,2,1%32"},
     32 << 10},
};

// Convolutions whose products by Winograd's points go to the unit.
const Case kWinogradCases[] = {
    {"both_dims",
     "workload/1\ninput x f32 [1,32,5,18]\nconstant w f32 [48,32,3,3]\noutput y f32 [1,48,5,18]\n"
     "stage c f32 [n:1,o:48,h:5,w:18] sum [i:32,p:3,q:3] = "
     "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
     "stage y f32 [n:1,o:48,h:5,w:18] = max(c[n,o,h,w],0x0p+0)\n",
     {"0,1/16,2,3,1%16", "", "0,1/16,2,3,1%16"}},
    {"channels_last",
     "workload/1\ninput x f32 [2,4,12,48]\nconstant w f32 [3,3,48,16]\noutput y f32 [2,2,10,16]\n"
     "stage y f32 [n:2,h:2,w:10,o:16] sum [p:3,q:3,i:48] = x[n,h+p,w+q,i]*w[p,q,i,o]\n",
     {"", "", ""}},
    {"one_dim",
     "workload/1\ninput x f32 [2,40,32]\nconstant w f32 [3,32,16]\noutput y f32 [2,40,16]\n"
     "stage y f32 [n:2,h:40,o:16] sum [p:3,i:32] = x[n,h+p+-1,i else 0x0p+0]*w[p,i,o]\n",
     {"", "", ""}},
    {"narrow",
     "workload/1\ninput x f32 [1,32,10,4]\nconstant w f32 [32,32,3,3]\noutput y f32 [1,32,10,4]\n"
     "stage y f32 [n:1,o:32,h:10,w:4] sum [i:32,p:3,q:3] = "
     "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n",
     {"0,1/16,2,3,1%16", "", "0,1/16,2,3,1%16"}},
    {"strips_of_whole_tiles",
     "workload/1\ninput x f32 [1,32,8,24]\nconstant w f32 [16,32,3,3]\noutput y f32 [1,16,8,24]\n"
     "stage y f32 [n:1,o:16,h:8,w:24] sum [i:32,p:3,q:3] = "
     "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n",
     {"0,1/16,2,3,1%16", "", "0,1/16,2,3,1%16"}},
};

class TileRuleTest : public testing::TestWithParam<Case> {};

std::vector<Sketch> TileSketches(const Case& c, const Target& target, Numerics numerics) {
  const Workload workload = *Workload::Parse(c.workload);
  auto sketches = DeriveSketches(workload, LayoutsOf(workload, c.layouts), target, numerics);
  EXPECT_TRUE(sketches.ok()) << sketches.status();
  std::vector<Sketch> with_tiles;
  for (const Sketch& sketch : *sketches) {
    if (absl::StrContains(sketch.name(), "tiles")) with_tiles.push_back(sketch);
  }
  return with_tiles;
}

// `draws` of every sketch by tiles, in every class that may have it.
void ExpectOracle(const Case& c, std::initializer_list<Numerics> classes, int draws) {
  const Workload workload = *Workload::Parse(c.workload);
  std::mt19937_64 random(1);
  for (const Numerics numerics : classes) {
    for (const int threads : {1, 2}) {
      Target target = MatrixTarget(threads);
      target.l2_bytes = c.l2_bytes;
      const std::vector<Sketch> sketches = TileSketches(c, target, numerics);
      EXPECT_FALSE(sketches.empty());
      for (const Sketch& sketch : sketches) {
        SCOPED_TRACE(sketch.ToString());
        int agreed = 0;
        for (int draw = 0; draw < 100 && agreed < draws && !testing::Test::HasFailure(); ++draw) {
          const std::optional<Assignment> assignment = DrawAssignment(sketch, random);
          if (!assignment) continue;
          const auto schedule = sketch.Instantiate(*assignment);
          ASSERT_TRUE(schedule.ok()) << schedule.status();
          EXPECT_TRUE(CheckAlgorithms(*schedule, numerics).ok());
          const auto artifact = Compile(workload, *schedule, target);
          ASSERT_TRUE(artifact.ok()) << artifact.status();
          EXPECT_TRUE(artifact->manifest().needs_tiles());
          agreed += InterpretedAgreesWithOracle(workload, *schedule, target, random);
        }
        EXPECT_GT(agreed, 0);
      }
    }
  }
}

TEST_P(TileRuleTest, ComputesWhatTheOracleSays) {
  ExpectOracle(GetParam(), {Numerics::kFp32, Numerics::kFast, Numerics::kBf16}, 2);
}

INSTANTIATE_TEST_SUITE_P(Cases, TileRuleTest, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

class FarRowsTest : public testing::TestWithParam<Case> {};

TEST_P(FarRowsTest, AreSummedPartByPartAsTheOracleSays) {
  ExpectOracle(GetParam(), {Numerics::kFp32}, 2);
  Target target = MatrixTarget();
  const auto names = [&] {
    std::string names;
    for (const Sketch& sketch : TileSketches(GetParam(), target, Numerics::kFp32)) {
      absl::StrAppend(&names, sketch.name(), " ");
    }
    return names;
  };
  EXPECT_THAT(names(), Not(HasSubstr("reduce_outermost"))) << "the second cache holds them";
  target.l2_bytes = GetParam().l2_bytes;
  EXPECT_THAT(names(), HasSubstr("reduce_outermost"));
}

INSTANTIATE_TEST_SUITE_P(Cases, FarRowsTest, testing::ValuesIn(kFarCases),
                         [](const auto& info) { return std::string(info.param.name); });

class WinogradTilesTest : public testing::TestWithParam<Case> {};

TEST_P(WinogradTilesTest, ComputeWhatTheOracleSays) {
  for (const Numerics numerics : {Numerics::kFp32, Numerics::kFast}) {
    const std::vector<Sketch> sketches = TileSketches(GetParam(), MatrixTarget(), numerics);
    EXPECT_THAT(sketches, testing::Contains(
                              testing::Property(&Sketch::name, testing::StartsWith("winograd"))));
  }
  ExpectOracle(GetParam(), {Numerics::kFp32, Numerics::kFast}, 1);
}

INSTANTIATE_TEST_SUITE_P(Cases, WinogradTilesTest, testing::ValuesIn(kWinogradCases),
                         [](const auto& info) { return std::string(info.param.name); });

// The first draw of the sketch that its holes allow.
Schedule FirstDraw(const Sketch& sketch, std::mt19937_64& random) {
  for (int draw = 0; draw < 1000; ++draw) {
    const std::optional<Assignment> assignment = DrawAssignment(sketch, random);
    if (assignment) return *sketch.Instantiate(*assignment);
  }
  ADD_FAILURE() << "no values fit\n" << sketch.ToString();
  return Schedule();
}

TEST(WinogradTilesTextTest, JoinsLinesOfStripsThatAreWholeTiles) {
  for (const Case& c : kWinogradCases) {
    SCOPED_TRACE(c.name);
    const std::vector<Sketch> sketches = TileSketches(c, MatrixTarget(), Numerics::kFp32);
    const auto joins = [](const Sketch& s) { return s.name() == "winograd_tiles_long_rows"; };
    const auto found = std::find_if(sketches.begin(), sketches.end(), joins);
    ASSERT_EQ(found != sketches.end(), c.name == std::string("strips_of_whole_tiles"));
    if (found == sketches.end()) continue;
    EXPECT_THAT(found->ToString(), HasSubstr("hole strip in 1, 2, 4\n"));
    EXPECT_THAT(found->ToString(), HasSubstr("require floormod(strip*12,16)==0\n"));
  }
}

TEST(WinogradTilesErrorTest, StaysWithinTheClass) {
  const Case c = {"",
                  "workload/1\ninput x f32 [1,64,8,16]\nconstant w f32 [16,64,3,3]\n"
                  "output y f32 [1,16,8,16]\nstage y f32 [n:1,o:16,h:8,w:16] "
                  "sum [i:64,p:3,q:3] = x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n",
                  {"0,1/16,2,3,1%16", "", "0,1/16,2,3,1%16"}};
  const Workload workload = *Workload::Parse(c.workload);
  const Target target = MatrixTarget();
  const auto error = [&](const Schedule& schedule) {
    std::mt19937_64 same_inputs(3);
    const auto rms =
        RmsErrorAgainstOracle(workload, schedule, target, same_inputs, RunBy::kInterpreter);
    EXPECT_TRUE(rms.ok()) << rms.status() << schedule.ToString();
    return rms.value_or(0);
  };
  const std::string layouts = BoundaryLayoutLines(workload, LayoutsOf(workload, c.layouts));
  const double sequential = error(*Schedule::Parse("schedule/1\n" + layouts));
  ASSERT_GT(sequential, 0);
  for (const Numerics numerics : {Numerics::kFp32, Numerics::kFast}) {
    std::mt19937_64 random(1);
    for (const Sketch& sketch : TileSketches(c, target, numerics)) {
      if (!absl::StartsWith(sketch.name(), "winograd")) continue;
      const double ratio = error(FirstDraw(sketch, random)) / sequential;
      EXPECT_GT(ratio, 0) << sketch.name();
      EXPECT_LE(ratio, SequentialErrorFactor(numerics)) << sketch.name();
      RecordProperty(std::string(NumericsName(numerics)), absl::StrCat(ratio));
    }
  }
}

TEST(TileRuleTextTest, CopiesColumnsSideBySideInInterleavedVectors) {
  const Case& c = *std::find_if(std::begin(kCases), std::end(kCases), [](const Case& one) {
    return one.name == std::string("columns_side_by_side");
  });
  const std::vector<Sketch> sketches = TileSketches(c, MatrixTarget(1), Numerics::kFp32);
  ASSERT_FALSE(sketches.empty());
  EXPECT_THAT(sketches[0].ToString(),
              HasSubstr("tile w@y.a d1 32\ntile w@y.a d1.1 16\ntile w@y.a d2 16\n"
                        "reorder w@y.a d0 d1.0 d1.1.1 d2.0 part d1.1.0 d2.1\nunroll w@y.a part\n"
                        "unroll w@y.a d1.1.0\nvectorize w@y.a d2.1\n"));
}

TEST(WinogradTilesTextTest, ReadsAsExpected) {
  const std::vector<Sketch> sketches =
      TileSketches(kWinogradCases[0], MatrixTarget(), Numerics::kFp32);
  const auto found = std::find_if(sketches.begin(), sketches.end(), [](const Sketch& sketch) {
    return sketch.name() == "winograd_tiles";
  });
  ASSERT_NE(found, sketches.end());
  EXPECT_EQ(found->ToString(), R"(sketch/1 winograd_tiles
hole group in 48
hole strip in 2, 6
hole height in 9
hole width in 16, 32, 48
hole block in 3
hole stream in 1, 0
require floordiv(height+15,16)*(floordiv(width+15,16)+1)+1<=8
schedule/1
layout x 0,1/16,2,3,1%16
layout y 0,1/16,2,3,1%16
winograd c h 2
winograd c.m w 2
inline c
inline c.m
prepare c.g
prepare c.m.g
layout c.d 0,1,2/16,3,4,2%16
layout c.m.m 0,1,2,3/16,4,5,3%16
layout c.m.g 0,1,2/16,3,2%16
tile c.m.g d1 16
reorder c.m.g d1.0 d2 d0 w.k d1.1
unroll c.m.g w.k
vectorize c.m.g d1.1
layout c.g 0,2,3,1
at c.g c.m.g d2
reorder c.g d1 d3 h.k d0
unroll c.g h.k
vectorize c.g d0
tile y o ?group
tile y o.1 16
tile y h ?strip
tile y h.1 2
tile y w 2
reorder y n h.0 o.0 o.1.0 h.1.0 w.0 h.1.1 w.1 o.1.1
unroll y h.1.1
unroll y w.1
vectorize y o.1.1
accumulate c.m.m
at c.m.m y o.0
tile c.d d1 16
reorder c.d d0 d1.0 d2 d3 h.k d1.1
unroll c.d h.k
vectorize c.d d1.1
split c.m.m.a 6
layout c.m.d@c.m.m.a 2,3,5,4/32,6,1,0,4%16,4/16%2
tile c.m.d@c.m.m.a d3 32
tile c.m.d@c.m.m.a d3.1 16
inline c.m.d
reorder c.m.d@c.m.m.a d2 d4 d3.0 d1 d5 d0 part d3.1.0 d3.1.1
unroll c.m.d@c.m.m.a d0
unroll c.m.d@c.m.m.a part
unroll c.m.d@c.m.m.a d3.1.0
vectorize c.m.d@c.m.m.a d3.1.1
layout c.m.g@c.m.m.a 3/?width,1,2,4/32,0,4%16,3%?width,4/16%2
prepare c.m.g@c.m.m.a
tile c.m.g@c.m.m.a d3 32
tile c.m.g@c.m.m.a d3.1 16
tile c.m.g@c.m.m.a d2 16
reorder c.m.g@c.m.m.a d0 d1 d3.0 d3.1.1 d2.0 part d3.1.0 d2.1
unroll c.m.g@c.m.m.a part
unroll c.m.g@c.m.m.a d3.1.0
vectorize c.m.g@c.m.m.a d2.1
tile c.m.m h ?block
tile c.m.m w ?height
tile c.m.m o ?width by 16
reorder c.m.m w.k h.k h.0 o.0 n h.1 w.0 w.1 o.1
vectorize c.m.m o.1
layout c.m.m.a 0,1,2,4,5,3
at c.m.m.a c.m.m w.0
tile c.m.m.a i 32
reorder c.m.m.a i.0 i.1 w.k h.k n h w o
tensorize c.m.m.a i.1 tdpbf16ps
stream c.m.d@c.m.m.a c.m.m.a ?stream
at c.m.d@c.m.m.a y h.0
at c.d c.m.d@c.m.m.a d3.0
)");
}

TEST(TileRuleTermsTest, AreAsManyAsTheClassNeeds) {
  const auto terms = [](Numerics numerics) {
    const std::vector<Sketch> sketches = TileSketches(kCases[0], MatrixTarget(), numerics);
    return sketches.empty() ? "" : sketches[0].ToString();
  };
  EXPECT_EQ(terms(Numerics::kStrict), "");
  EXPECT_THAT(terms(Numerics::kFp32), HasSubstr("split y.a 6"));
  EXPECT_THAT(terms(Numerics::kFast), HasSubstr("split y.a 3"));
  EXPECT_THAT(terms(Numerics::kBf16), HasSubstr("split y.a 1"));
}

TEST(TileRuleTermsTest, NoMachineWithoutTheUnitGetsThem) {
  for (const Case& c : kCases) EXPECT_TRUE(TileSketches(c, Avx2Target(), Numerics::kFp32).empty());
}

TEST(TileRuleTermsTest, ThePriorTakesThemWhereTheyPay) {
  const Workload large = *Workload::Parse(
      "workload/1\ninput a f32 [512,512]\nconstant w f32 [512,512]\noutput y f32 [512,512]\n"
      "stage y f32 [m:512,n:512] sum [k:512] = a[m,k]*w[k,n]\n");
  const std::vector<Layout> layouts = LayoutsOf(large, {"", "", ""});
  for (const Numerics numerics : {Numerics::kFp32, Numerics::kFast, Numerics::kBf16}) {
    const auto schedule = DefaultSchedule(large, layouts, MatrixTarget(), numerics);
    ASSERT_TRUE(schedule.ok()) << schedule.status();
    EXPECT_THAT(schedule->ToString(), HasSubstr("tensorize")) << NumericsName(numerics);
  }
  // A few rows are read from memory in the time that they take either way.
  const Workload small = *Workload::Parse(
      "workload/1\ninput a f32 [4,512]\nconstant w f32 [512,512]\noutput y f32 [4,512]\n"
      "stage y f32 [m:4,n:512] sum [k:512] = a[m,k]*w[k,n]\n");
  const auto schedule =
      DefaultSchedule(small, LayoutsOf(small, {"", "", ""}), MatrixTarget(), Numerics::kFp32);
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_THAT(schedule->ToString(), Not(HasSubstr("tensorize")));
}

}  // namespace
}  // namespace hone
