// Sketches by the tiles of a matrix unit, for a machine that has one: what is derived, that the
// lowered program computes what the oracle says, and that LLVM makes code of it without spills.
// No machine with such a unit has run them here: the interpreter does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
    {"bytes",
     "workload/1\ninput a u8 [19,130]\nconstant w i8 [130,48]\noutput y i32 [19,48]\n"
     "stage y i32 [m:19,n:48] sum [k:130] = i32(a[m,k])*i32(w[k,n])\n",
     {"", "", ""}},
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

TEST_P(TileRuleTest, ComputesWhatTheOracleSays) {
  const Workload workload = *Workload::Parse(GetParam().workload);
  std::mt19937_64 random(1);
  for (const Numerics numerics : {Numerics::kFp32, Numerics::kFast, Numerics::kBf16}) {
    for (const int threads : {1, 2}) {
      const Target target = MatrixTarget(threads);
      const std::vector<Sketch> sketches = TileSketches(GetParam(), target, numerics);
      EXPECT_FALSE(sketches.empty());
      for (const Sketch& sketch : sketches) {
        SCOPED_TRACE(sketch.ToString());
        int agreed = 0;
        for (int draw = 0; draw < 100 && agreed < 2 && !HasFailure(); ++draw) {
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

INSTANTIATE_TEST_SUITE_P(Cases, TileRuleTest, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

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
