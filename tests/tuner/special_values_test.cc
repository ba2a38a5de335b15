// What each numerics class promises of infinities, NaN, denormals and huge values, held by a
// candidate of every sketch: strict gives what IEEE gives, the others infinity or NaN for either.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <ostream>

#include "compiler/operators/reference.h"
#include "tests/lower/kernel_check.h"
#include "tests/support/avx2_target.h"
#include "tests/support/sketch_draws.h"
#include "tuner/space/derive.h"

namespace hone {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Target OldTarget() {
  return *Target::Parse(
      "target/1 x86_64 cpu=x86-64 features=sse2 l1=32768 l2=262144 l3=0 cores=1 threads=1");
}

// Overwrites some of a buffer's values.
struct Change {
  const char* buffer;
  std::vector<std::pair<int64_t, double>> values;
  double scale = 1;  // all values times this
};

struct Case {
  const char* name;
  const char* workload;
  std::vector<const char*> layouts;
  std::vector<Change> changes;
};

void PrintTo(const Case& c, std::ostream* os) { *os << c.name; }

constexpr char kBlocked[] = "0,1/8,2,3,1%8";

// One NaN in each of `count` blocks of `size` values, in block i at place[i].
std::vector<std::pair<int64_t, double>> NanAtEachOf(int64_t count, int64_t size,
                                                    const std::vector<int64_t>& place) {
  std::vector<std::pair<int64_t, double>> values;
  for (int64_t i = 0; i < count; ++i) {
    values.emplace_back(i * size + place[i], i % 2 == 0 ? kNan : -kNan);
  }
  return values;
}

const Case kCases[] = {
    {"convolution",
     "workload/1\ninput x f32 [1,16,7,13]\nconstant w f32 [24,16,3,3]\noutput y f32 [1,24,7,13]\n"
     "stage c f32 [n:1,o:24,h:7,w:13] sum [i:16,p:3,q:3] = "
     "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
     "stage y f32 [n:1,o:24,h:7,w:13] = max(c[n,o,h,w],0x0p+0)\n",
     {kBlocked, "", kBlocked},
     // Corners of the image and its middle; both infinities in one window.
     {{"x", {{0, kInfinity}, {90, kNan}, {500, -kInfinity}, {501, kInfinity}, {600, 0x1p-140}}}}},
    {"matmul",
     "workload/1\ninput a f32 [13,24]\nconstant w f32 [24,43]\nconstant b f32 [43]\n"
     "output y f32 [13,43]\nstage c f32 [m:13,n:43] sum [k:24] = a[m,k]*w[k,n]\n"
     "stage y f32 [m:13,n:43] = min(max(c[m,n]+b[n],0x0p+0),0x1.8p+2)\n",
     {"", "", "", ""},
     {{"a", {{0, kNan}, {30, kInfinity}}}, {"b", {{42, -kInfinity}}}}},
    {"constant_matmul",
     "workload/1\ninput a f32 [9,24]\nconstant w f32 [24,43]\noutput y f32 [9,43]\n"
     "stage y f32 [m:9,n:43] sum [k:24] = a[m,k]*w[k,n]\n",
     {"", "", ""},
     {{"w", {{42, kInfinity}, {100, kNan}}}}},
    {"depthwise",
     "workload/1\ninput x f32 [1,16,12,11]\nconstant w f32 [16,3,3]\noutput y f32 [1,16,12,11]\n"
     "stage c f32 [n:1,c:16,h:12,w:11] sum [p:3,q:3] = "
     "x[n,c,h+p+-1,w+q+-1 else 0x0p+0]*w[c,p,q]\n"
     "stage y f32 [n:1,c:16,h:12,w:11] = max(c[n,c,h,w],0x0p+0)\n",
     {kBlocked, "", kBlocked},
     {{"x", {{0, kNan}, {140, -kInfinity}, {2111, kInfinity}}}}},
    {"max_pool",
     "workload/1\ninput x f32 [1,8,14,13]\noutput y f32 [1,8,7,7]\n"
     "stage y f32 [n:1,c:8,h:7,w:7] max [p:3,q:3] = x[n,c,h*2+p+-1,w*2+q+-1 else -inf]\n",
     {kBlocked, kBlocked},
     {{"x", {{0, kNan}, {100, -kInfinity}, {300, kInfinity}, {301, kNan}}}}},
    // NaN, of either sign, at each place of a window in turn: a window an image, or a row.
    {"nan_anywhere_in_a_window",
     "workload/1\ninput x f32 [9,8,3,7]\noutput y f32 [9,8,1,5]\n"
     "stage y f32 [n:9,c:8,h:1,w:5] max [p:3,q:3] = x[n,c,h+p,w+q]\n",
     {kBlocked, kBlocked},
     {{"x", NanAtEachOf(9, 168, {0, 1, 2, 7, 8, 9, 14, 15, 16})}}},
    {"nan_anywhere_in_a_minimum",
     "workload/1\ninput x f32 [5,40]\noutput y f32 [5,36]\n"
     "stage y f32 [m:5,n:36] min [p:5] = x[m,n+p]\n",
     {"", ""},
     {{"x", NanAtEachOf(5, 40, {11, 12, 13, 14, 15})}}},
    {"row_maximum",
     "workload/1\ninput x f32 [6,77]\noutput y f32 [6]\nstage y f32 [m:6] max [k:77] = x[m,k]\n",
     {"", ""},
     {{"x", {{0, kNan}, {77 + 76, kNan}, {200, kNan}, {3 * 77 + 5, kInfinity}}}}},
    // Masks of -inf, and one row of nothing else: its exponentials are of no number.
    {"masked_softmax",
     "workload/1\ninput x f32 [6,37]\ninput b f32 [6,37]\noutput y f32 [6,37]\n"
     "stage s f32 [m:6,n:37] = x[m,n]+b[m,n]\nstage top f32 [m:6] max [k:37] = s[m,k]\n"
     "stage e f32 [m:6,n:37] = exp(s[m,n]-top[m])\nstage total f32 [m:6] sum [k:37] = e[m,k]\n"
     "stage inverse f32 [m:6] = 0x1p+0/total[m]\n"
     "stage y f32 [m:6,n:37] = e[m,n]*inverse[m]\n",
     {"", "", ""},
     {{"b", {{0, -kInfinity}, {36, -kInfinity}, {40, -kInfinity}, {5 * 37, kNan}}}}},
    {"softmax_of_nothing",
     "workload/1\ninput x f32 [2,3]\noutput y f32 [2,3]\nstage top f32 [m:2] max [k:3] = x[m,k]\n"
     "stage e f32 [m:2,n:3] = exp(x[m,n]-top[m])\nstage total f32 [m:2] sum [k:3] = e[m,k]\n"
     "stage y f32 [m:2,n:3] = e[m,n]/total[m]\n",
     {"", ""},
     {{"x", {{3, -kInfinity}, {4, -kInfinity}, {5, -kInfinity}}}}},
    // Squares stay within f32, just.
    {"layer_norm_of_huge_values",
     "workload/1\ninput x f32 [12,83]\nconstant g f32 [83]\noutput y f32 [12,83]\n"
     "stage s f32 [m:12] sum [k:83] = x[m,k]\nstage mean f32 [m:12] = s[m]/0x1.4cp+6\n"
     "stage v f32 [m:12] sum [k:83] = (x[m,k]-mean[m])*(x[m,k]-mean[m])\n"
     "stage inverse f32 [m:12] = 0x1p+0/sqrt(v[m]/0x1.4cp+6+0x1.4f8b58p-17)\n"
     "stage y f32 [m:12,n:83] = (x[m,n]-mean[m])*inverse[m]*g[n]\n",
     {"", "", ""},
     {{"x", {}, 1e17}}},
    {"functions",
     "workload/1\ninput x f32 [4,19]\noutput y f32 [4,19]\n"
     "stage y f32 [m:4,n:19] = select(0<m,select(1<m,select(2<m,erf(x[m,n]),tanh(x[m,n])),"
     "log(x[m,n])),exp(x[m,n]))\n",
     {"", ""},
     {{"x",
       {{0, kInfinity},
        {1, -kInfinity},
        {2, kNan},
        {3, 88.5},
        {4, -200},
        {19, kInfinity},
        {20, -1},
        {21, kNan},
        {22, 0},
        {23, 0x1p-140},
        {38, kInfinity},
        {39, -kInfinity},
        {40, kNan},
        {41, 0x1p-140},
        {57, kInfinity},
        {58, -kInfinity},
        {59, kNan},
        {60, -0.0}}}}},
};

class SpecialValuesTest : public testing::TestWithParam<Case> {};

StatusOr<KernelCase> ValuesOf(const Case& c, const Workload& workload, std::mt19937_64& random) {
  HONE_ASSIGN_OR_RETURN(KernelCase values,
                        DrawKernelCase(workload, {}, InputKind::kNormal, random));
  values.inputs_kind = InputKind::kSpecial;
  for (const Change& change : c.changes) {
    Tensor& tensor = values.inputs.at(change.buffer);
    for (int64_t i = 0; i < tensor.ElementCount(); ++i) tensor.Set(i, tensor.Get(i) * change.scale);
    for (const auto& [at, value] : change.values) tensor.Set(at, value);
  }
  HONE_ASSIGN_OR_RETURN(values.expected, EvaluateWorkload(workload, values.inputs));
  return values;
}

TEST_P(SpecialValuesTest, AreWhatTheClassPromises) {
  const auto workload = Workload::Parse(GetParam().workload);
  ASSERT_TRUE(workload.ok()) << workload.status();
  std::mt19937_64 random(3);
  const auto values = ValuesOf(GetParam(), *workload, random);
  ASSERT_TRUE(values.ok()) << values.status();
  for (const Numerics numerics : {Numerics::kStrict, Numerics::kFp32, Numerics::kFast}) {
    for (const Target& target : {Avx2Target(1), OldTarget()}) {
      const auto sketches =
          DeriveSketches(*workload, LayoutsOf(*workload, GetParam().layouts), target, numerics);
      ASSERT_TRUE(sketches.ok()) << sketches.status();
      for (const Sketch& sketch : *sketches) {
        SCOPED_TRACE(sketch.name());
        for (int draw = 0; draw < 100; ++draw) {
          const std::optional<Assignment> assignment = DrawAssignment(sketch, random);
          if (!assignment) continue;
          const Schedule schedule = *sketch.Instantiate(*assignment);
          const auto outputs = RunKernel(*workload, schedule, target, *values, RunBy::kMachine);
          if (!outputs.ok() && IsRefusal(outputs.status())) continue;
          ASSERT_TRUE(outputs.ok()) << outputs.status();
          EXPECT_EQ(DifferenceFromOracle(*workload, schedule, *values, *outputs), "")
              << schedule.ToString();
          break;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, SpecialValuesTest, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

// The tolerance above hides denormals: here they are compared to the bit.
TEST(SpecialValuesTest, DenormalsAreKept) {
  const Workload workload = *Workload::Parse(
      "workload/1\ninput x f32 [21]\noutput y f32 [21]\nstage y f32 [m:21] = x[m]*0x1p-1\n");
  KernelCase values;
  values.inputs["x"] = Tensor::Zeros(DType::kF32, {21});
  for (int64_t i = 0; i < 21; ++i) {
    values.inputs["x"].Set(i, static_cast<double>(2 * i - 20) * 0x1p-148);
  }
  values.expected = *EvaluateWorkload(workload, values.inputs);
  const Schedule schedule = *Schedule::Parse("schedule/1\nvectorize y m\n");
  for (const Target& target : {Avx2Target(1), OldTarget()}) {
    const auto outputs = RunKernel(workload, schedule, target, values, RunBy::kMachine);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    EXPECT_EQ(outputs->at("y").ToDoubles(), values.expected.at("y").ToDoubles());
  }
}

}  // namespace
}  // namespace hone
