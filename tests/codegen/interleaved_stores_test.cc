// Stores that leave gaps for each other: which become one, and that memory then holds what the
// program says.
#include <map>
#include <string>

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

constexpr int kElements = 256;

// y[4*i+j] of three planes of x and of zeros, as `lines` store them 16 lanes at a time; `dtype` is
// an integer type.
Program Copies(const std::string& dtype, const std::string& lines) {
  auto program = ParseProgram(absl::StrCat("program/1\ninput x ", dtype, " [", kElements,
                                           "]\noutput y ", dtype, " [", kElements,
                                           "]\nrun {\n  for i in 4 {\n", lines, "  }\n}\n"));
  EXPECT_TRUE(program.ok()) << program.status();
  return *program;
}

std::string StoreEvery(int stride, int first, const std::string& value) {
  return absl::StrCat("    y[ramp(i*", 16 * stride, "+", first, ",", stride, ";16)] = ", value,
                      "\n");
}

std::string Plane(int j) { return absl::StrCat("x[ramp(i*16+", 64 * j, ",1;16)]"); }

std::string FourOf(const std::string& zeros) {
  return absl::StrCat(StoreEvery(4, 0, Plane(0)), StoreEvery(4, 1, Plane(1)),
                      StoreEvery(4, 2, Plane(2)), StoreEvery(4, 3, zeros));
}

Target Here() {
  return *Target::Parse(
      "target/1 x86_64 cpu=x86-64 features= l1=32768 l2=524288 l3=0 cores=1 threads=1");
}

std::string IrOf(const Program& program) {
  const auto ir = GenerateLlvmIr(program, Here());
  EXPECT_TRUE(ir.ok()) << ir.status();
  return ir.value_or("");
}

void ExpectRight(const Program& program) {
  if (!RunsHere(Here())) GTEST_SKIP() << "SKIP: this machine runs no code for x86-64";
  std::map<std::string, Tensor> expected;
  for (const Buffer& buffer : program.buffers) {
    Tensor tensor = Tensor::Zeros(buffer.dtype, {kElements});
    for (int i = 0; i < kElements; ++i) tensor.Set(i, buffer.name == "y" ? 7 : i % 120 + 1);
    expected[buffer.name] = tensor;
  }
  std::map<std::string, Tensor> actual = expected;
  ASSERT_TRUE(Evaluate(program, {}, expected).ok());
  const auto artifact = GenerateCode(program, Here());
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  ASSERT_TRUE(RunArtifact(*artifact, {}, actual).ok());
  EXPECT_EQ(actual["y"].bytes, expected["y"].bytes);
}

TEST(InterleavedStores, FourThatLeaveNothingOutAreOne) {
  for (const std::string dtype : {"u8", "u16", "i32"}) {
    const Program program = Copies(dtype, FourOf(absl::StrCat("broadcast(0:", dtype, ";16)")));
    const bool halves = dtype == "u16";  // of wider values
    EXPECT_THAT(IrOf(program), HasSubstr(halves ? "or <32 x i32>" : "shufflevector <32 x"));
    EXPECT_THAT(IrOf(program), Not(HasSubstr("extractelement"))) << dtype;
    ExpectRight(program);
  }
}

TEST(InterleavedStores, TwoThatLeaveNothingOutAreOne) {
  const std::string two = StoreEvery(2, 0, Plane(0)) + StoreEvery(2, 1, Plane(1));
  EXPECT_THAT(IrOf(Copies("u8", two)), HasSubstr("shufflevector <16 x"));
  EXPECT_THAT(IrOf(Copies("u16", two)), HasSubstr("or <16 x i32>"));
  for (const char* dtype : {"u8", "u16", "i32"}) {
    EXPECT_THAT(IrOf(Copies(dtype, two)), Not(HasSubstr("extractelement"))) << dtype;
    ExpectRight(Copies(dtype, two));
  }
}

TEST(InterleavedStores, ThoseThatLeaveAGapStayThemselves) {
  const Program program = Copies(
      "u8", StoreEvery(4, 0, Plane(0)) + StoreEvery(4, 1, Plane(1)) + StoreEvery(4, 3, Plane(2)));
  EXPECT_THAT(IrOf(program), HasSubstr("extractelement"));
  ExpectRight(program);
}

TEST(InterleavedStores, WhatReadsTheStoreBeforeItComesAfterIt) {
  const Program program =
      Copies("u8", StoreEvery(2, 0, Plane(0)) + StoreEvery(2, 1, "y[ramp(i*32,1;16)]"));
  EXPECT_THAT(IrOf(program), HasSubstr("extractelement"));
  ExpectRight(program);
}

}  // namespace
}  // namespace hone
