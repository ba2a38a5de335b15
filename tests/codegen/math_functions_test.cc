// The stated error bounds of ExpandMath, over dense samples, in the interpreter and in machine
// code.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "compiler/codegen/code_generator.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/verify.h"
#include "compiler/lower/expand_math.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/codegen/kernel_runner.h"

namespace hone {
namespace {

constexpr int kLanes = 8;

struct Function {
  std::string name;
  std::function<Expr(const Expr&)> build;
  std::function<double(double)> exact;
  double low;
  double high;
  double ulps;
};

std::vector<Function> Functions() {
  auto unary = [](UnaryOp op) { return [op](const Expr& x) { return Unary(op, x); }; };
  auto power = [](double y) {
    return [y](const Expr& x) { return Binary(BinaryOp::kPow, x, Float(y, x.type())); };
  };
  auto exp_not_positive = [](const Expr& x) {
    return Unary(UnaryOp::kExp, Min(Float(0, x.type()), x));
  };
  return {
      {"exp", unary(UnaryOp::kExp), [](double x) { return std::exp(x); }, -87, 88.7, 2},
      {"exp up to 0", exp_not_positive, [](double x) { return std::exp(x > 0 ? 0 : x); }, -105, 3,
       2},
      {"log", unary(UnaryOp::kLog), [](double x) { return std::log(x); }, 1e-3, 100, 2},
      {"log", unary(UnaryOp::kLog), [](double x) { return std::log(x); }, 0.7, 1.5, 2},
      {"log", unary(UnaryOp::kLog), [](double x) { return std::log(x); }, 1e-44, 1e-37, 2},
      {"tanh", unary(UnaryOp::kTanh), [](double x) { return std::tanh(x); }, -12, 12, 3},
      {"tanh", unary(UnaryOp::kTanh), [](double x) { return std::tanh(x); }, -1, 1, 3},
      {"sigmoid", unary(UnaryOp::kSigmoid), [](double x) { return 1 / (1 + std::exp(-x)); }, -86,
       40, 3},
      {"erf", unary(UnaryOp::kErf), [](double x) { return std::erf(x); }, -5, 5, 3},
      {"erf", unary(UnaryOp::kErf), [](double x) { return std::erf(x); }, -1e-3, 1e-3, 3},
      {"sin", unary(UnaryOp::kSin), [](double x) { return std::sin(x); }, -10, 10, 2},
      {"sin", unary(UnaryOp::kSin), [](double x) { return std::sin(x); }, -1e6, 1e6, 2},
      {"cos", unary(UnaryOp::kCos), [](double x) { return std::cos(x); }, -1000, 1000, 2},
      {"pow 1.7", power(1.7), [](double x) { return std::pow(x, 1.7f); }, 0, 1e6, 2},
      {"pow -2.5", power(-2.5), [](double x) { return std::pow(x, -2.5); }, 1e-8, 1e6, 2},
      {"pow 5", power(5), [](double x) { return std::pow(x, 5); }, -100, 100, 2},
  };
}

// y[i] = f(x[i]), vectorised.
Program ProgramOf(const Function& function, DType dtype, int64_t count) {
  Program program;
  program.buffers = {{"x", dtype, {Int(count)}, Scope::kArgument, BufferRole::kInput},
                     {"y", dtype, {Int(count)}, Scope::kArgument, BufferRole::kOutput}};
  const Expr at = Ramp(Var("i") * kLanes, Int(1), kLanes);
  program.run = ExpandMath(For("i", Int(count / kLanes), LoopKind::kSerial,
                               Store("y", {at}, function.build(Load("x", dtype, {at})))));
  return program;
}

double UlpsF32(double actual, double exact) {
  if (std::isnan(exact) || std::isinf(exact)) {
    return std::isnan(exact) == std::isnan(actual) && (std::isnan(exact) || actual == exact)
               ? 0
               : std::numeric_limits<double>::infinity();
  }
  int exponent = 0;
  std::frexp(exact, &exponent);
  return std::fabs(actual - exact) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

Tensor Samples(const Function& function, DType dtype, int64_t count) {
  Tensor x = Tensor::Zeros(dtype, {count});
  for (int64_t i = 0; i < count; ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(count - 1);
    x.Set(i, function.low + (function.high - function.low) * t);
  }
  return x;
}

Target TargetOf(const std::string& features) {
  return *Target::Parse("target/1 x86_64 cpu=x86-64 features=" + features +
                        " l1=32768 l2=524288 l3=0 cores=1 threads=1");
}

double WorstUlps(const Function& function, const Tensor& x, const Tensor& y, double* at) {
  double worst = 0;
  for (int64_t i = 0; i < x.ElementCount(); ++i) {
    const double ulps = UlpsF32(y.Get(i), function.exact(x.Get(i)));
    if (ulps > worst) {
      worst = ulps;
      *at = x.Get(i);
    }
  }
  return worst;
}

TEST(MathFunctions, StayWithinTheirBoundsInTheInterpreter) {
  const int64_t count = 1 << 14;
  for (const Function& function : Functions()) {
    const Program program = ProgramOf(function, DType::kF32, count);
    ASSERT_TRUE(Verify(program, ProgramStage::kLowered).ok());
    std::map<std::string, Tensor> buffers;
    buffers["x"] = Samples(function, DType::kF32, count);
    buffers["y"] = Tensor::Zeros(DType::kF32, {count});
    ASSERT_TRUE(Evaluate(program, {}, buffers).ok());
    double at = 0;
    EXPECT_LE(WorstUlps(function, buffers["x"], buffers["y"], &at), function.ulps)
        << function.name << " at " << at;
  }
}

TEST(MathFunctions, StayWithinTheirBoundsInMachineCodeOfEveryWidth) {
  const int64_t count = 1 << 18;
  for (const char* features : {"avx,avx2,fma", ""}) {
    for (const Function& function : Functions()) {
      const Program program = ProgramOf(function, DType::kF32, count);
      const auto artifact = GenerateCode(program, TargetOf(features));
      ASSERT_TRUE(artifact.ok()) << artifact.status();
      std::map<std::string, Tensor> buffers;
      buffers["x"] = Samples(function, DType::kF32, count);
      buffers["y"] = Tensor::Zeros(DType::kF32, {count});
      ASSERT_TRUE(RunArtifact(*artifact, {}, buffers).ok());
      double at = 0;
      const double worst = WorstUlps(function, buffers["x"], buffers["y"], &at);
      EXPECT_LE(worst, function.ulps) << function.name << " at " << at;
      RecordProperty(function.name, std::to_string(worst));
    }
  }
}

TEST(MathFunctions, GiveWhatLibmGivesAtTheEdges) {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<double> edges = {0.0,   -0.0,  inf,    -inf, std::nan(""), 1.0,  -1.0, 1e38,
                                     -1e38, 1e-40, -1e-40, 200,  -200,         -2.0, 3.0,  0.5};
  const auto count = static_cast<int64_t>(edges.size());
  for (const Function& function : Functions()) {
    const bool periodic = function.name == "sin" || function.name == "cos";
    const Program program = ProgramOf(function, DType::kF32, count);
    const auto artifact = GenerateCode(program, TargetOf("avx,avx2,fma"));
    ASSERT_TRUE(artifact.ok()) << artifact.status();
    std::map<std::string, Tensor> buffers;
    buffers["x"] = Tensor::FromDoubles(DType::kF32, {count}, edges);
    buffers["y"] = Tensor::Zeros(DType::kF32, {count});
    ASSERT_TRUE(RunArtifact(*artifact, {}, buffers).ok());
    for (int64_t i = 0; i < count; ++i) {
      const double x = buffers["x"].Get(i);
      if (periodic && std::fabs(x) > 1e6 && !std::isinf(x)) continue;
      double exact = function.exact(x);
      if (std::fabs(exact) > std::numeric_limits<float>::max()) exact = std::copysign(inf, exact);
      EXPECT_LE(UlpsF32(buffers["y"].Get(i), exact), 4)
          << function.name << "(" << x << ") = " << buffers["y"].Get(i) << ", not " << exact;
    }
  }
}

TEST(MathFunctions, AreAccurateInDouble) {
  const int64_t count = 1 << 14;
  for (const Function& function : Functions()) {
    const bool single = function.name == "erf" || function.name == "sin" || function.name == "cos";
    if (single || function.name == "pow 1.7" || function.low == 1e-44) continue;
    const Program program = ProgramOf(function, DType::kF64, count);
    const auto artifact = GenerateCode(program, TargetOf("avx,avx2,fma"));
    ASSERT_TRUE(artifact.ok()) << artifact.status();
    std::map<std::string, Tensor> buffers;
    buffers["x"] = Samples(function, DType::kF64, count);
    buffers["y"] = Tensor::Zeros(DType::kF64, {count});
    ASSERT_TRUE(RunArtifact(*artifact, {}, buffers).ok());
    double worst = 0;
    for (int64_t i = 0; i < count; ++i) {
      const double exact = function.exact(buffers["x"].Get(i));
      worst = std::max(worst, std::fabs(buffers["y"].Get(i) - exact) / std::fabs(exact));
    }
    EXPECT_LE(worst, function.name[0] == 'p' ? 1e-12 : 4e-15) << function.name;
  }
}

TEST(ExpandMath, ReadsOnlyTheArmOfASelectThatIsTaken) {
  // x has 8 elements; the second half of the loop must not read it.
  Program program;
  program.buffers = {{"x", DType::kF32, {Int(8)}, Scope::kArgument, BufferRole::kInput},
                     {"y", DType::kF32, {Int(16)}, Scope::kArgument, BufferRole::kOutput}};
  const Expr value = Unary(UnaryOp::kExp, Load("x", DType::kF32, {Var("i")}));
  program.run =
      For("i", Int(16), LoopKind::kSerial,
          Store("y", {Var("i")}, Select(Less(Var("i"), Int(8)), value + value, Float(-1))));
  program.run = ExpandMath(program.run);
  std::map<std::string, Tensor> buffers;
  buffers["x"] = Tensor::Zeros(DType::kF32, {8});
  buffers["y"] = Tensor::Zeros(DType::kF32, {16});
  const Status status = Evaluate(program, {}, buffers);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(buffers["y"].Get(7), 2);
  EXPECT_EQ(buffers["y"].Get(8), -1);
}

// y[8..16] = exp(s[0..8]); y[16..24] = exp(s[8..16]) for the source s, all zeros before: the first
// elements of both.
std::vector<double> ExpOfVectors(const std::string& source) {
  Program program;
  program.buffers = {{"x", DType::kF32, {Int(24)}, Scope::kArgument, BufferRole::kInput},
                     {"y", DType::kF32, {Int(24)}, Scope::kArgument, BufferRole::kOutput}};
  std::vector<Stmt> stores;
  for (int64_t begin : {0, kLanes}) {
    const Expr from = Ramp(Int(begin), Int(1), kLanes);
    const Expr to = Ramp(Int(begin + kLanes), Int(1), kLanes);
    stores.push_back(Store("y", {to}, Unary(UnaryOp::kExp, Load(source, DType::kF32, {from}))));
  }
  program.run = ExpandMath(Block(stores));
  std::map<std::string, Tensor> buffers;
  buffers["x"] = Tensor::Zeros(DType::kF32, {24});
  buffers["y"] = Tensor::Zeros(DType::kF32, {24});
  const Status status = Evaluate(program, {}, buffers);
  EXPECT_TRUE(status.ok()) << status;
  return {buffers["y"].Get(8), buffers["y"].Get(16)};
}

TEST(ExpandMath, ComputesStoresSideBySide) {
  EXPECT_THAT(ExpOfVectors("x"), testing::ElementsAre(1, 1));
}

TEST(ExpandMath, KeepsTheOrderOfAStoreAndWhatReadsIt) {
  EXPECT_THAT(ExpOfVectors("y"), testing::ElementsAre(1, testing::DoubleNear(M_E, 1e-6)));
}

}  // namespace
}  // namespace hone
