#include "compiler/codegen/code_generator.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/codegen/kernel_runner.h"
#include "tests/codegen/packed_microkernel.h"

namespace hone {
namespace {

Target Avx2Target() {
  auto target = Target::Parse(
      "target/1 x86_64 cpu=znver3 features=avx,avx2,f16c,fma l1=32768 l2=524288 l3=0 cores=1 "
      "threads=1");
  return *target;
}

TEST(CodeGenerator, CompilesAMicrokernelThatComputesTheProduct) {
  const int depth = 32;
  const Program program =
      MakePackedMicrokernel({.vectors = 2, .scalars = 6, .unroll = 4, .lanes = 8, .depth = depth});
  auto ir = GenerateLlvmIr(program, Avx2Target());
  ASSERT_TRUE(ir.ok()) << ir.status();
  auto artifact = GenerateCode(program, Avx2Target());
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  EXPECT_EQ(artifact->spill_count(), 0) << *GenerateAssembly(program, Avx2Target());
  std::map<std::string, Tensor> buffers;
  std::vector<float> a(depth * 16);
  std::vector<float> b(depth * 6);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 7) - 3;
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i % 5) - 2;
  buffers["a"] = Tensor::Floats({1, depth, 16}, a);
  buffers["b"] = Tensor::Floats({depth, 6}, b);
  buffers["c"] = Tensor::Zeros(DType::kF32, {1, 6, 16});
  const Status status = RunArtifact(*artifact, {}, buffers);
  ASSERT_TRUE(status.ok()) << status;
  for (int j = 0; j < 6; ++j) {
    for (int m = 0; m < 16; ++m) {
      float sum = 0;
      for (int k = 0; k < depth; ++k) sum += a[k * 16 + m] * b[k * 6 + j];
      EXPECT_EQ(buffers["c"].Get(j * 16 + m), sum) << j << " " << m;
    }
  }
}

TEST(CodeGenerator, RunsParallelLoopsWithSharedAndWorkerScratch) {
  // t = 2x in shared scratch; then y[i, j] = t[i, j] + i through a worker's row of scratch, for a
  // run-time number of rows.
  const Expr rows = Var("rows");
  const Expr at = Var("i") * 4 + Var("j");
  const Expr at2 = Var("i2") * 4;
  Program program;
  program.params = {{"rows", 0, 10}};
  program.buffers = {{"x", DType::kF32, {rows, Int(4)}, Scope::kArgument, BufferRole::kInput},
                     {"y", DType::kF32, {rows, Int(4)}, Scope::kArgument, BufferRole::kOutput}};
  const Expr x = Load("x", DType::kF32, {at});
  program.run = Block(
      {Allocate({"t", DType::kF32, {rows, Int(4)}, Scope::kScratch}),
       For("i", rows, LoopKind::kSerial,
           For("j", Int(4), LoopKind::kSerial, Store("t", {at}, x + x))),
       For("i2", rows, LoopKind::kParallel,
           Block({Allocate({"row", DType::kF32, {Int(4)}, Scope::kScratch}),
                  For("j2", Int(4), LoopKind::kSerial,
                      Store("row", {Var("j2")},
                            Load("t", DType::kF32, {at2 + Var("j2")}) +
                                Cast(Var("i2"), DType::kF32))),
                  For("j3", Int(4), LoopKind::kSerial,
                      Store("y", {at2 + Var("j3")}, Load("row", DType::kF32, {Var("j3")})))}))});
  auto ir = GenerateLlvmIr(program, Avx2Target());
  ASSERT_TRUE(ir.ok()) << ir.status();
  auto artifact = GenerateCode(program, Avx2Target());
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  EXPECT_EQ(artifact->manifest().scratch_shared_bytes(), 192);
  EXPECT_EQ(artifact->manifest().scratch_worker_bytes(), 64);
  EXPECT_EQ(artifact->manifest().buffers(0).shape(0).param(), "rows");
  for (int64_t count : {0, 1, 7, 10}) {
    std::map<std::string, Tensor> buffers;
    buffers["x"] = Tensor::Zeros(DType::kF32, {count, 4});
    buffers["y"] = Tensor::Zeros(DType::kF32, {count, 4});
    for (int64_t i = 0; i < count * 4; ++i) buffers["x"].Set(i, static_cast<double>(i));
    const Status status = RunArtifact(*artifact, {count}, buffers);
    ASSERT_TRUE(status.ok()) << status;
    for (int64_t i = 0; i < count * 4; ++i) {
      EXPECT_EQ(buffers["y"].Get(i), static_cast<double>(2 * i + i / 4)) << i;
    }
  }
}

TEST(CodeGenerator, MakesSharedObjectsForOtherArchitectures) {
  for (const char* text :
       {"target/1 aarch64 cpu=cortex-a72 features=neon l1=32768 l2=1048576 l3=0 cores=4 threads=1",
        "target/1 armv7l cpu=cortex-a7 features=neon,vfp4 l1=32768 l2=524288 l3=0 cores=4 "
        "threads=1",
        "target/1 x86_64 cpu=x86-64 features= l1=32768 l2=524288 l3=0 cores=1 threads=1",
        "target/1 x86_64 cpu=sapphirerapids features=avx,avx2,avx512f,fma l1=49152 l2=2097152 "
        "l3=0 cores=1 threads=1"}) {
    const Target target = *Target::Parse(text);
    auto artifact = GenerateCode(
        MakePackedMicrokernel(
            {.vectors = 2, .scalars = 4, .unroll = 2, .lanes = target.FloatLanes(), .depth = 16}),
        target);
    ASSERT_TRUE(artifact.ok()) << text << ": " << artifact.status();
    EXPECT_EQ(artifact->code().substr(1, 3), "ELF");
    // Without fused multiply-add each one takes registers of its own.
    if (!target.features.empty()) {
      EXPECT_EQ(artifact->spill_count(), 0) << text;
    }
  }
}

TEST(CodeGenerator, RefusesAFeatureThatTheArchitectureDoesNotHave) {
  Target target = Avx2Target();
  target.features.push_back("avx9");
  const auto artifact =
      GenerateCode(MakePackedMicrokernel({.vectors = 1, .scalars = 1, .unroll = 1}), target);
  EXPECT_EQ(artifact.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(artifact.status().message()), testing::HasSubstr("'avx9'"));
}

TEST(CodeGenerator, NamesMathThatWasNotExpanded) {
  Program program;
  program.buffers = {{"y", DType::kF32, {Int(1)}, Scope::kArgument, BufferRole::kOutput}};
  program.run = Store("y", {Int(0)}, Unary(UnaryOp::kExp, Load("y", DType::kF32, {Int(0)})));
  const auto artifact = GenerateCode(program, Avx2Target());
  EXPECT_THAT(std::string(artifact.status().message()), testing::HasSubstr("'exp'"));
}

}  // namespace
}  // namespace hone
