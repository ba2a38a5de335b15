// The rule for dot instructions on machines that tests do not run on: what it derives is lowered
// and interpreted, and agrees with the oracle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "compiler/compile.h"
#include "compiler/ir/evaluate.h"
#include "compiler/operators/reference.h"
#include "tests/support/sketch_draws.h"
#include "tuner/space/derive.h"

namespace hone {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Target TargetWith(const std::string& features) {
  return *Target::Parse("target/1 x86_64 cpu=x86-64 features=" + features +
                        " l1=32768 l2=1048576 l3=0 cores=1 threads=1");
}

// Bytes of all values; the least and the greatest alone; or every product as large as it can be.
enum class Bytes { kAll, kExtremes, kLargest };

int DrawByte(Bytes bytes, DType dtype, std::mt19937_64& random) {
  const int least = dtype == DType::kU8 ? 0 : -128;
  if (bytes == Bytes::kLargest) return dtype == DType::kU8 ? 255 : -128;
  if (bytes == Bytes::kExtremes) return random() % 2 == 0 ? least : least + 255;
  return std::uniform_int_distribution<int>(least, least + 255)(random);
}

// Identity layouts: the program's flat buffers are the tensors.
void ExpectAgreement(const Workload& workload, const Schedule& schedule, const Target& target,
                     std::mt19937_64& random, Bytes bytes = Bytes::kAll) {
  auto program = LowerWorkload(workload, schedule, target);
  ASSERT_TRUE(program.ok()) << program.status() << "\n" << schedule.ToString();
  TensorMap inputs;
  TensorMap flat;
  for (const Buffer& buffer : workload.buffers) {
    Tensor tensor = Tensor::Zeros(buffer.dtype, *EvaluateShape(buffer.shape, {}));
    for (int64_t i = 0; i < tensor.ElementCount(); ++i) {
      const int value = DrawByte(bytes, buffer.dtype, random);
      if (buffer.role != BufferRole::kOutput) tensor.Set(i, value);
    }
    flat[buffer.name] = tensor.Reshaped({tensor.ElementCount()});
    if (buffer.role != BufferRole::kOutput) inputs[buffer.name] = std::move(tensor);
  }
  for (const Buffer& buffer : program->buffers) {
    if (buffer.role != BufferRole::kPrepared) continue;
    flat[buffer.name] = Tensor::Zeros(buffer.dtype, *EvaluateShape(buffer.shape, {}));
  }
  auto expected = EvaluateWorkload(workload, inputs);
  ASSERT_TRUE(expected.ok()) << expected.status();
  const Status ran = Evaluate(*program, {}, flat);
  ASSERT_TRUE(ran.ok()) << ran << "\n" << schedule.ToString();
  const Tensor& want = expected->at("y");
  for (int64_t i = 0; i < want.ElementCount(); ++i) {
    ASSERT_EQ(flat.at("y").Get(i), want.Get(i)) << "element " << i << "\n" << schedule.ToString();
  }
}

void ExpectDots(const std::string& text, const std::string& features, const std::string& name,
                Numerics numerics = Numerics::kInt8) {
  SCOPED_TRACE(name);
  const Workload workload = *Workload::Parse(text);
  const Target target = TargetWith(features);
  std::vector<Layout> layouts;
  for (const Buffer& buffer : workload.buffers) {
    layouts.push_back(Layout::Identity(static_cast<int>(buffer.shape.size())));
  }
  auto sketches = DeriveSketches(workload, layouts, target, numerics);
  ASSERT_TRUE(sketches.ok()) << sketches.status();
  std::mt19937_64 random(1);
  int dots = 0;
  for (const Sketch& sketch : *sketches) {
    if (!absl::StartsWith(sketch.name(), "dot_")) continue;
    for (int draw = 0, checked = 0; draw < 50 && checked < 2; ++draw) {
      const std::optional<Assignment> assignment = DrawAssignment(sketch, random);
      if (!assignment) continue;
      const Schedule schedule = *sketch.Instantiate(*assignment);
      EXPECT_THAT(schedule.ToString(), HasSubstr(" " + name + "\n"));
      ExpectAgreement(workload, schedule, target, random);
      const auto artifact = Compile(workload, schedule, target);
      EXPECT_TRUE(artifact.ok()) << artifact.status() << schedule.ToString();
      ++checked;
      ++dots;
    }
  }
  EXPECT_GT(dots, 0);
}

constexpr char kVnni[] = "avx,avx2,avx512bf16,avx512bw,avx512f,avx512vl,avx512vnni,fma";

std::string Product(const std::string& left, const std::string& right, const std::string& sum) {
  return "workload/1\ninput x " + left + " [9,22]\nconstant w " + right + " [22,37]\noutput y " +
         sum + " [9,37]\nstage y " + sum + " [m:9,n:37] sum [k:22] = " + sum + "(x[m,k])*" + sum +
         "(w[k,n])\n";
}

TEST(DotRuleTest, MultipliesBytesAsTheyAreWhereTheMachineDoes) {
  ExpectDots(Product("u8", "i8", "i32"), kVnni, "vpdpbusd");
  ExpectDots(Product("i8", "u8", "i32"), "avx,avx2,avxvnni,fma", "vpdpbusd");
}

TEST(DotRuleTest, WidensWhatNoInstructionTakes) {
  ExpectDots(Product("i8", "i8", "i32"), kVnni, "vpdpwssd");
  ExpectDots(Product("u8", "u8", "i32"), "avx,avx2,avxvnni,fma", "vpdpwssd");
  ExpectDots(Product("u8", "i8", "i32"), "avx,avx2,fma", "pmaddwd");
  ExpectDots(Product("i8", "i8", "i32"), "sse2", "pmaddwd");
}

TEST(DotRuleTest, MultipliesPairsOfBf16) {
  ExpectDots(Product("bf16", "bf16", "f32"), kVnni, "vdpbf16ps");
}

std::string ConvolutionOf(const std::string& image, const std::string& weights, int channels) {
  const std::string i = absl::StrCat(channels);
  return "workload/1\ninput x " + image + " [1,5,7," + i + "]\nconstant w " + weights + " [3,3," +
         i + ",16]\noutput y i32 [1,5,7,16]\nstage y i32 [n:1,h:5,w:7,o:16] sum [p:3,q:3,i:" + i +
         "] = i32(x[n,h+p+-1,w+q+-1,i else 0:" + image + "])*i32(w[p,q,i,o])\n";
}

std::vector<Sketch> WinogradSketches(const Workload& workload) {
  std::vector<Layout> layouts(3, Layout::Identity(4));
  auto sketches = DeriveSketches(workload, layouts, TargetWith("avx,avx2,fma"), Numerics::kInt8);
  EXPECT_TRUE(sketches.ok()) << sketches.status();
  std::vector<Sketch> found;
  for (const Sketch& sketch : *sketches) {
    if (absl::StartsWith(sketch.name(), "winograd")) found.push_back(sketch);
  }
  return found;
}

TEST(DotRuleTest, WinogradOfBytesIsExact) {
  std::mt19937_64 random(1);
  for (const auto& [image, weights] : {std::pair{"u8", "i8"}, {"i8", "i8"}, {"u8", "u8"}}) {
    SCOPED_TRACE(absl::StrCat(image, " by ", weights));
    const Workload workload = *Workload::Parse(ConvolutionOf(image, weights, 48));
    const std::vector<Sketch> sketches = WinogradSketches(workload);
    EXPECT_FALSE(sketches.empty());
    for (const Sketch& sketch : sketches) {
      std::optional<Assignment> assignment;
      while (!assignment) assignment = DrawAssignment(sketch, random);
      const Schedule schedule = *sketch.Instantiate(*assignment);
      EXPECT_THAT(schedule.ToString(), HasSubstr(" pmaddwd\n"));
      for (const Bytes bytes : {Bytes::kAll, Bytes::kExtremes, Bytes::kLargest}) {
        ExpectAgreement(workload, schedule, TargetWith("avx,avx2,fma"), random, bytes);
      }
    }
  }
}

// 1020 x 1152 for a product, times three of them in a result: 609 channels fit in 32 bits.
TEST(DotRuleTest, WinogradOfBytesIsForSumsThatFit) {
  EXPECT_FALSE(WinogradSketches(*Workload::Parse(ConvolutionOf("u8", "i8", 608))).empty());
  EXPECT_TRUE(WinogradSketches(*Workload::Parse(ConvolutionOf("u8", "i8", 624))).empty());
}

constexpr char kMatmul[] =
    "workload/1\ninput x f32 [9,23]\nconstant w f32 [23,37]\noutput y f32 [9,37]\n"
    "stage y f32 [m:9,n:37] sum [k:23] = x[m,k]*w[k,n]\n";

TEST(DotRuleTest, RoundsFp32ToBf16WhereTheClassAllowsIt) {
  ExpectDots(kMatmul, kVnni, "vdpbf16ps", Numerics::kBf16);
  ExpectDots(
      "workload/1\ninput x f32 [1,6,7,4]\nconstant w f32 [3,3,4,16]\noutput y f32 [1,6,7,16]\n"
      "stage c f32 [n:1,h:6,w:7,o:16] sum [p:3,q:3,i:4] = "
      "x[n,h+p+-1,w+q+-1,i else 0x0p+0]*w[p,q,i,o]\n"
      "stage y f32 [n:1,h:6,w:7,o:16] = max(c[n,h,w,o],0x0p+0)\n",
      kVnni, "vdpbf16ps", Numerics::kBf16);
}

std::set<std::string> DotSketches(const std::string& features, Numerics numerics) {
  auto sketches = DeriveSketches(*Workload::Parse(kMatmul), std::vector(3, Layout::Identity(2)),
                                 TargetWith(features), numerics);
  EXPECT_TRUE(sketches.ok()) << sketches.status();
  std::set<std::string> names;
  for (const Sketch& sketch : *sketches) {
    if (absl::StartsWith(sketch.name(), "dot_")) names.insert(sketch.name());
  }
  return names;
}

// Three products of two at a time take longer than one multiply-add.
TEST(DotRuleTest, SplitsFp32OnlyWhereThatCanPay) {
  EXPECT_THAT(DotSketches(kVnni, Numerics::kBf16), Not(IsEmpty()));
  for (const Numerics numerics : {Numerics::kStrict, Numerics::kFp32, Numerics::kFast}) {
    EXPECT_THAT(DotSketches(kVnni, numerics), IsEmpty()) << NumericsName(numerics);
  }
  const std::string tiles = absl::StrCat("amx-bf16,amx-tile,", kVnni);
  EXPECT_THAT(DotSketches(tiles, Numerics::kBf16), IsEmpty()) << "tiles are faster";
}

TEST(DotRuleTest, KeepsDenormalsWhereTheClassDoes) {
  const Workload workload = *Workload::Parse(Product("bf16", "bf16", "f32"));
  const std::vector<Layout> layouts(3, Layout::Identity(2));
  auto sketches = DeriveSketches(workload, layouts, TargetWith(kVnni), Numerics::kStrict);
  ASSERT_TRUE(sketches.ok()) << sketches.status();
  for (const Sketch& sketch : *sketches) {
    EXPECT_FALSE(absl::StartsWith(sketch.name(), "dot_")) << sketch.name();
  }
}

}  // namespace
}  // namespace hone
