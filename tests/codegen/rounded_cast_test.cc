// Conversions that round: which expressions are such, and that code by a CPU's instructions for
// them gives the nearest integer within the bounds, ties to even, also far beyond the bounds.
#include "compiler/codegen/rounded_cast.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "compiler/codegen/code_generator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/codegen/kernel_runner.h"

namespace hone {
namespace {

Expr Rounded(const Expr& value) { return Unary(UnaryOp::kRound, value); }

Expr Value(int lanes) {
  return Load("x", DType::kF32, {lanes == 1 ? Var("i") : Ramp(Var("i") * lanes, Int(1), lanes)});
}

Expr ByteOf(const Expr& value) {
  const Type type = value.type();
  return Cast(Min(Max(Rounded(value), Float(0, type)), Float(255, type)), DType::kU8);
}

TEST(RoundedCastTest, FindsWhatIsRoundedAndItsBounds) {
  const Expr x = Value(1);
  const auto byte = MatchRoundedCast(ByteOf(x));
  ASSERT_TRUE(byte.has_value());
  EXPECT_TRUE(Equal(byte->value, x));
  EXPECT_TRUE(byte->IsByte());
  const auto bare = MatchRoundedCast(Cast(Rounded(x), DType::kI32));
  ASSERT_TRUE(bare.has_value());
  EXPECT_TRUE(bare->bounds.empty());
  EXPECT_FALSE(bare->IsByte());
}

TEST(RoundedCastTest, LeavesWhatRoundingWouldMove) {
  const Expr x = Value(1);
  EXPECT_FALSE(MatchRoundedCast(Cast(x, DType::kU8))) << "not rounded";
  EXPECT_FALSE(MatchRoundedCast(Cast(Min(Rounded(x), Float(2.5)), DType::kU8))) << "half a bound";
  EXPECT_FALSE(MatchRoundedCast(Cast(Min(Rounded(x), x), DType::kU8))) << "no constant";
  EXPECT_FALSE(MatchRoundedCast(Cast(Rounded(x), DType::kI64))) << "more than 32 bits";
  EXPECT_FALSE(MatchRoundedCast(Cast(Rounded(x), DType::kF16))) << "no integer";
}

class RoundedCastCodeTest : public testing::TestWithParam<const char*> {};

TEST_P(RoundedCastCodeTest, GivesTheNearestIntegerWithinTheBounds) {
  const Target target = *Target::Parse(GetParam());
  std::vector<float> values = {0.5F,    1.5F,    2.5F,  -0.5F, -0.6F, 254.5F, 255.5F, 256.F,
                               1e9F,    4e9F,    1e30F, -4e9F, -1.F,  0.F,    127.4F, 128.5F,
                               -127.6F, -128.5F, 3e9F,  -3e9F, 99.9F, 1.F,    253.5F, 0.49F};
  values.resize(32, 17.3F);
  const int64_t count = static_cast<int64_t>(values.size());
  for (const int lanes : {1, 4, 8, 16, 32}) {
    const Expr at = lanes == 1 ? Var("i") : Ramp(Var("i") * lanes, Int(1), lanes);
    const Type type{DType::kF32, lanes};
    const Expr signed_byte =
        Cast(Min(Max(Rounded(Value(lanes)), Float(-128, type)), Float(127, type)), DType::kI8);
    Program program;
    program.buffers = {{"x", DType::kF32, {Int(count)}, Scope::kArgument, BufferRole::kInput},
                       {"u", DType::kU8, {Int(count)}, Scope::kArgument, BufferRole::kOutput},
                       {"s", DType::kI8, {Int(count)}, Scope::kArgument, BufferRole::kOutput}};
    program.run =
        For("i", Int(count / lanes), LoopKind::kSerial,
            Block({Store("u", {at}, ByteOf(Value(lanes))), Store("s", {at}, signed_byte)}));
    const auto artifact = GenerateCode(program, target);
    ASSERT_TRUE(artifact.ok()) << artifact.status();
    if (!RunsHere(target)) GTEST_SKIP() << "this machine has no " << GetParam();
    std::map<std::string, Tensor> buffers;
    buffers["x"] = Tensor::Floats({count}, values);
    buffers["u"] = Tensor::Zeros(DType::kU8, {count});
    buffers["s"] = Tensor::Zeros(DType::kI8, {count});
    const Status status = RunArtifact(*artifact, {}, buffers);
    ASSERT_TRUE(status.ok()) << status;
    for (int64_t i = 0; i < count; ++i) {
      const double nearest = std::nearbyint(values[static_cast<size_t>(i)]);
      EXPECT_EQ(buffers["u"].Get(i), std::clamp(nearest, 0.0, 255.0)) << values[i] << " " << lanes;
      EXPECT_EQ(buffers["s"].Get(i), std::clamp(nearest, -128.0, 127.0)) << values[i];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Targets, RoundedCastCodeTest,
    testing::Values(
        "target/1 x86_64 cpu=x86-64 features= l1=32768 l2=524288 l3=0 cores=1 threads=1",
        "target/1 x86_64 cpu=znver3 features=avx,avx2,f16c,fma l1=32768 l2=524288 l3=0 "
        "cores=1 threads=1",
        "target/1 x86_64 cpu=sapphirerapids features=avx,avx2,avx512bw,avx512dq,"
        "avx512f,avx512vl,f16c,fma l1=49152 l2=2097152 l3=0 cores=1 threads=1"));

}  // namespace
}  // namespace hone
