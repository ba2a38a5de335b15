// Micro-kernel blocks as assembly: which blocks become one, and that they compute what the program
// says.
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compiler/codegen/code_generator.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/program_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/codegen/kernel_runner.h"

namespace hone {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kAssembly[] = "asm sideeffect \"v";

Target TargetOf(const std::string& arch, const std::string& features) {
  return *Target::Parse("target/1 " + arch + " cpu=generic features=" + features +
                        " l1=32768 l2=524288 l3=0 cores=1 threads=1");
}
Target Avx2() { return TargetOf("x86_64", "avx,avx2,f16c,fma"); }

// y[w] = sum over 16 k of f[k] * (what `operands` read), 8 lanes each: `lets` and multiply-adds are
// lines of the block in the loop over k.
Program InLoop(int accumulators, const std::string& lines, const std::string& after = "") {
  std::string zero;
  std::string store;
  for (int i = 0; i < accumulators; ++i) {
    const std::string at = absl::StrCat("[ramp(", i * 8, ",1;8)]");
    absl::StrAppend(&zero, "  acc", at, " = broadcast(0x0p+0;8)\n");
    absl::StrAppend(&store, "  y", at, " = acc", at, "\n");
  }
  auto program = ParseProgram(absl::StrCat(
      "program/1\ninput x f32 [4096]\ninput f f32 [4096]\noutput y f32 [", accumulators * 8 + 8,
      "]\nrun {\n  allocate acc register f32 [", accumulators * 8, "]\n", zero,
      "  straight_line for k in 16 {\n", lines, after, "  }\n", store, "}\n"));
  EXPECT_TRUE(program.ok()) << program.status();
  return *program;
}

std::string Let(const std::string& name, const std::string& value) {
  return absl::StrCat("    let ", name, " = ", value, "\n");
}
std::string MultiplyAdd(int accumulator, const std::string& a, const std::string& b) {
  const std::string at = absl::StrCat("acc[ramp(", accumulator * 8, ",1;8)]");
  return absl::StrCat("    ", at, " = fma(", a, ",", b, ",", at, ")\n");
}

std::string IrOf(const Program& program, const Target& target) {
  const auto ir = GenerateLlvmIr(program, target);
  EXPECT_TRUE(ir.ok()) << ir.status();
  return ir.value_or("");
}

// Runs the program here, and through the interpreter.
void ExpectRight(const Program& program) {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    GTEST_SKIP() << "SKIP: this machine has no AVX2";
  }
  const auto artifact = GenerateCode(program, Avx2());
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  EXPECT_EQ(artifact->spill_count(), 0);
  std::map<std::string, Tensor> expected;
  for (const Buffer& buffer : program.buffers) {
    Tensor tensor = Tensor::Zeros(DType::kF32, {buffer.shape[0]->int_value});
    for (int64_t i = 0; i < buffer.shape[0]->int_value; ++i) {
      tensor.Set(i, buffer.name == "y" ? 0 : static_cast<double>((i * 7) % 23 - 11));
    }
    expected[buffer.name] = tensor;
  }
  std::map<std::string, Tensor> actual = expected;
  ASSERT_TRUE(Evaluate(program, {}, expected).ok());
  ASSERT_TRUE(RunArtifact(*artifact, {}, actual).ok());
  EXPECT_EQ(actual["y"].bytes, expected["y"].bytes);
}

// A tile of 2 vectors by 6 scalars.
std::string TileStep() {
  std::string lines = Let("w0", "f[ramp(k*16,1;8)]") + Let("w1", "f[ramp(k*16+8,1;8)]");
  for (int i = 0; i < 6; ++i) {
    const std::string name = absl::StrCat("s", i);
    lines += Let(name, absl::StrCat("broadcast(x[k*6+", i, "];8)"));
    lines += MultiplyAdd(i * 2, name, "w0") + MultiplyAdd(i * 2 + 1, name, "w1");
  }
  return lines;
}

TEST(MultiplyAddBlock, ATileIsOnePieceOfAssembly) {
  const Program program = InLoop(12, TileStep());
  EXPECT_THAT(IrOf(program, Avx2()), HasSubstr(kAssembly));
  ExpectRight(program);
}

TEST(MultiplyAddBlock, TargetsWithoutItsInstructionsHaveNone) {
  const Program program = InLoop(12, TileStep());
  EXPECT_THAT(IrOf(program, TargetOf("x86_64", "avx")), Not(HasSubstr(kAssembly)));
  EXPECT_THAT(IrOf(program, TargetOf("aarch64", "neon")), Not(HasSubstr(kAssembly)));
}

TEST(MultiplyAddBlock, ValuesUsedOnceAreOperandsInMemory) {
  std::string lines = Let("w", "f[ramp(k*8,1;8)]");
  for (int i = 0; i < 8; ++i) {
    const std::string name = absl::StrCat("v", i);
    lines += Let(name, absl::StrCat("x[ramp(k*64+", i * 8, ",1;8)]"));
    lines += i % 2 == 0 ? MultiplyAdd(i, name, "w") : MultiplyAdd(i, "w", name);
  }
  const Program program = InLoop(8, lines);
  const std::string ir = IrOf(program, Avx2());
  EXPECT_THAT(ir, HasSubstr("vfmadd231ps 32("));
  EXPECT_THAT(ir, Not(HasSubstr("vmovups 32(")));
  ExpectRight(program);
}

TEST(MultiplyAddBlock, TwoValuesUsedOnceAreOneOperandInMemory) {
  std::string lines;
  for (int i = 0; i < 8; ++i) {
    lines += Let(absl::StrCat("v", i), absl::StrCat("x[ramp(k*64+", i * 8, ",1;8)]"));
    lines += Let(absl::StrCat("u", i), absl::StrCat("f[ramp(k*64+", i * 8, ",1;8)]"));
    lines += MultiplyAdd(i, absl::StrCat("v", i), absl::StrCat("u", i));
  }
  lines += Let("q", "x[ramp(k*8,1;8)]");
  lines += MultiplyAdd(0, "q", "q");
  ExpectRight(InLoop(8, lines));
}

TEST(MultiplyAddBlock, ManyAddressesMakeSeveralPieces) {
  std::string lines;
  for (int i = 0; i < 10; ++i) {
    const std::string v = absl::StrCat("v", i);
    // Rows whose distance is no constant: each has an address of its own.
    lines += Let(v, absl::StrCat("x[ramp(floordiv(k+", i, ",3)*128+k*8,1;8)]"));
    lines += Let("w" + v, absl::StrCat("broadcast(f[k*16+", i, "];8)"));
    lines += MultiplyAdd(0, v, "w" + v) + MultiplyAdd(1, "w" + v, v);
  }
  const Program program = InLoop(2, lines);
  const std::string ir = IrOf(program, Avx2());
  const size_t first = ir.find(kAssembly);
  ASSERT_NE(first, std::string::npos);
  EXPECT_NE(ir.find(kAssembly, first + 1), std::string::npos);
  ExpectRight(program);
}

TEST(MultiplyAddBlock, WhatIsUsedFurtherOnStaysAValue) {
  const Program program =
      InLoop(12, TileStep() + Let("late", "x[ramp(k*8+1,1;8)]") + MultiplyAdd(3, "late", "late"),
             "    y[ramp(96,1;8)] = late+late\n");
  EXPECT_THAT(IrOf(program, Avx2()), HasSubstr(kAssembly));
  ExpectRight(program);
}

TEST(MultiplyAddBlock, MoreThanTheRegistersHoldIsLeftToLlvm) {
  std::string lines = Let("w", "f[ramp(k*8,1;8)]");
  for (int i = 0; i < 16; ++i) {
    const std::string name = absl::StrCat("s", i);
    lines += Let(name, absl::StrCat("broadcast(x[k*16+", i, "];8)")) + MultiplyAdd(i, name, "w");
  }
  EXPECT_THAT(IrOf(InLoop(16, lines), Avx2()), Not(HasSubstr(kAssembly)));
}

}  // namespace
}  // namespace hone
