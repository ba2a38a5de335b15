// Random lowered programs: machine code must give the interpreter's bits.
#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compiler/codegen/code_generator.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/program_text.h"
#include "compiler/ir/verify.h"
#include "gtest/gtest.h"
#include "tests/codegen/kernel_runner.h"

namespace hone {
namespace {

constexpr int64_t kElements = 96;

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  Program Make() {
    Program program;
    program.params = {{"n", 0, 5}};
    program.buffers = {{"x", DType::kF32, {Int(kElements)}, Scope::kArgument, BufferRole::kInput},
                       {"h", DType::kF16, {Int(kElements)}, Scope::kArgument, BufferRole::kInput},
                       {"q", DType::kI8, {Int(kElements)}, Scope::kArgument, BufferRole::kInput},
                       {"at", DType::kI64, {Int(kElements)}, Scope::kArgument, BufferRole::kInput},
                       {"y", DType::kF32, {Int(kElements)}, Scope::kArgument, BufferRole::kOutput},
                       {"z", DType::kI32, {Int(kElements)}, Scope::kArgument, BufferRole::kOutput}};
    std::vector<Stmt> all = {Allocate({"t", DType::kF32, {Int(kElements)}, Scope::kScratch}),
                             Allocate({"acc", DType::kF32, {Int(16)}, Scope::kRegister})};
    indices_ = {"n"};
    for (int i = 0; i < 2; ++i) {
      all.push_back(Store("acc", {Ramp(Int(8 * i), Int(1), 8)}, Float(i, {DType::kF32, 8})));
    }
    all.push_back(For("init", Int(kElements), LoopKind::kSerial,
                      Store("t", {Var("init")}, Load("x", DType::kF32, {Var("init")}))));
    for (int i = 0; i < 3; ++i) all.push_back(Statement(3));
    for (int i = 0; i < 2; ++i) {
      all.push_back(Store("y", {Ramp(Int(8 * i), Int(1), 8)},
                          Load("acc", DType::kF32, {Ramp(Int(8 * i), Int(1), 8)})));
    }
    program.run = Block(std::move(all));
    return program;
  }

 private:
  int Pick(int count) { return static_cast<int>(random_() % static_cast<uint32_t>(count)); }

  // An i64 in [0, kElements - 8], so that eight lanes from it stay inside.
  Expr Index() {
    Expr e = Var(indices_[static_cast<size_t>(Pick(static_cast<int>(indices_.size())))]);
    if (Pick(2) == 0) e = e * (1 + Pick(5)) + Pick(7);
    if (Pick(3) == 0)
      e = e + Var(indices_[static_cast<size_t>(Pick(static_cast<int>(indices_.size())))]);
    if (Pick(4) == 0) e = FloorDiv(e - 9, 1 + Pick(6));
    if (Pick(6) == 0) e = Load("at", DType::kI64, {FloorMod(e, kElements)});
    return FloorMod(e, kElements - 8);
  }

  Expr VectorIndex(int lanes) {
    if (lanes == 1) return Index();
    if (Pick(5) == 0) return FloorMod(Ramp(Index(), Int(3), lanes), kElements);
    if (Pick(4) == 0) return FloorMod(Ramp(Index(), Index(), lanes), kElements);
    return Ramp(Index(), Int(1), lanes);
  }

  Expr Condition(int lanes, int depth) {
    switch (Pick(4)) {
      case 0:
        return Broadcast(Less(Index(), Index()), lanes);
      case 1:
        return And(Less(Value(lanes, depth), Value(lanes, depth)),
                   Unary(UnaryOp::kNot, Broadcast(Less(Index(), Int(7)), lanes)));
      case 2:
        return Binary(BinaryOp::kNotEqual, Value(lanes, depth), Value(lanes, depth));
      default:
        return LessEqual(Value(lanes, depth), Value(lanes, depth));
    }
  }

  // An f32 of `lanes`.
  Expr Value(int lanes, int depth) {
    const Type type{DType::kF32, lanes};
    if (depth == 0 || Pick(6) == 0) {
      switch (Pick(6)) {
        case 0:
          return Float(Pick(9) - 4, type);
        case 1:
          return Cast(Load("h", DType::kF16, {VectorIndex(lanes)}), DType::kF32);
        case 2:
          return Cast(Load("q", DType::kI8, {VectorIndex(lanes)}), DType::kF32);
        case 3:
          return Broadcast(Load("t", DType::kF32, {Index()}), lanes);
        default:
          return Load("x", DType::kF32, {VectorIndex(lanes)});
      }
    }
    auto value = [&] { return Value(lanes, depth - 1); };
    switch (Pick(11)) {
      case 0:
        return Fma(value(), value(), value());
      case 1:
        return Min(value(), value());
      case 2:
        return Max(value(), value());
      case 3:
        return Select(Condition(lanes, depth - 1), value(), value());
      case 4: {
        // Loads beyond the buffer, where the condition says not to.
        const Expr at = lanes == 1 ? Index() : Ramp(Index(), Int(1), lanes);
        const Expr far = at + Int(kElements - 20, at.type());
        return Select(Less(far, Int(kElements, far.type())), Load("x", DType::kF32, {far}),
                      value());
      }
      case 5:
        return Unary(static_cast<UnaryOp>(static_cast<int>(UnaryOp::kFloor) + Pick(4)), value());
      case 6:
        return Unary(Pick(2) == 0 ? UnaryOp::kNeg : UnaryOp::kAbs, value());
      case 7:
        return Cast(Cast(value(), Pick(2) == 0 ? DType::kF16 : DType::kBF16), DType::kF32);
      case 8:
        return Bitcast(Binary(BinaryOp::kAnd, Bitcast(value(), DType::kI32),
                              Int(0x7fffff00, {DType::kI32, lanes})),
                       DType::kF32);
      case 9:
        return value() - value();
      default:
        return value() + value();
    }
  }

  Stmt Statement(int depth) {
    const int lanes = Pick(2) == 0 ? 1 : 8;
    const int choice = depth == 0 ? Pick(4) : Pick(8);
    switch (choice) {
      case 0:
        return Store("t", {VectorIndexForStore(lanes)}, Value(lanes, 3));
      case 1:
        return Store("z", {VectorIndexForStore(lanes)},
                     Cast(Unary(UnaryOp::kTrunc,
                                Min(Float(100, {DType::kF32, lanes}),
                                    Max(Float(-100, {DType::kF32, lanes}), Value(lanes, 2)))),
                          DType::kI32));
      case 2:
      case 3: {
        const Expr at = Ramp(Int(8 * Pick(2)), Int(1), 8);
        return Store(
            "acc", {at},
            Fma(Value(8, 2), Float(0.5, {DType::kF32, 8}), Load("acc", DType::kF32, {at})));
      }
      case 4: {
        const std::string name = absl::StrCat("v", count_++);
        Stmt let = Let(name, Value(8, 2));
        return Block({let, Store("y", {Ramp(Index(), Int(1), 8)},
                                 Var(name, {DType::kF32, 8}) + Value(8, 1))});
      }
      case 5:
        return If(Less(Index(), Index()), Block({Statement(depth - 1), Statement(depth - 1)}),
                  Pick(2) == 0 ? Statement(depth - 1) : Stmt());
      default: {
        const std::string name = absl::StrCat("i", count_++);
        const Expr extent = Pick(4) == 0 ? Var("n") : Int(1 + Pick(4));
        indices_.push_back(name);
        Stmt body = Block({Statement(depth - 1), Statement(depth - 1)});
        indices_.pop_back();
        return For(name, extent, LoopKind::kSerial, std::move(body));
      }
    }
  }

  // Lanes that do not collide.
  Expr VectorIndexForStore(int lanes) {
    if (lanes == 1) return Index();
    return Pick(3) == 0 ? Ramp(FloorMod(Index(), 20), Int(7), lanes) : Ramp(Index(), Int(1), lanes);
  }

  std::mt19937 random_;
  std::vector<std::string> indices_;
  int count_ = 0;
};

std::map<std::string, Tensor> Inputs(uint32_t seed) {
  std::mt19937 random(seed);
  std::map<std::string, Tensor> buffers;
  for (const auto& [name, dtype] : std::vector<std::pair<std::string, DType>>{
           {"x", DType::kF32}, {"h", DType::kF16}, {"q", DType::kI8}, {"y", DType::kF32}}) {
    Tensor& tensor = buffers[name] = Tensor::Zeros(dtype, {kElements});
    for (int64_t i = 0; i < kElements; ++i) {
      tensor.Set(i, (static_cast<double>(random() % 4001) - 2000) / 128);
    }
  }
  buffers["z"] = Tensor::Zeros(DType::kI32, {kElements});
  Tensor& at = buffers["at"] = Tensor::Zeros(DType::kI64, {kElements});
  for (int64_t i = 0; i < kElements; ++i) at.SetInt(i, static_cast<int64_t>(random() % 500) - 250);
  return buffers;
}

// Equal bits, or both NaN.
void ExpectSame(const Tensor& actual, const Tensor& expected, const std::string& what) {
  for (int64_t i = 0; i < actual.ElementCount(); ++i) {
    const double a = actual.Get(i);
    const double e = expected.Get(i);
    ASSERT_TRUE((std::isnan(a) && std::isnan(e)) || a == e)
        << what << "[" << i << "]: " << a << ", not " << e;
  }
}

TEST(RandomProgram, GivesTheInterpretersBits) {
  const std::vector<std::string> features = {"avx,avx2,f16c,fma", "avx", ""};
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const Program program = Generator(seed).Make();
    const std::string text = absl::StrCat("seed ", seed, "\n", ToString(program));
    ASSERT_TRUE(Verify(program, ProgramStage::kLowered).ok()) << text;
    const std::string& chosen = features[seed % features.size()];
    const Target target = *Target::Parse("target/1 x86_64 cpu=x86-64 features=" + chosen +
                                         " l1=32768 l2=524288 l3=0 cores=1 threads=1");
    const auto ir = GenerateLlvmIr(program, target);
    ASSERT_TRUE(ir.ok()) << ir.status() << text;
    const auto artifact = GenerateCode(program, target);
    ASSERT_TRUE(artifact.ok()) << artifact.status() << text;
    for (int64_t n : {0, 4}) {
      std::map<std::string, Tensor> expected = Inputs(seed);
      std::map<std::string, Tensor> actual = expected;
      const Status status = Evaluate(program, {{"n", n}}, expected);
      ASSERT_TRUE(status.ok()) << status << text;
      ASSERT_TRUE(RunArtifact(*artifact, {n}, actual).ok()) << text;
      for (const char* name : {"y", "z"}) ExpectSame(actual[name], expected[name], name + text);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace hone
