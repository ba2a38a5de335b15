#include "compiler/lower/expand_microkernel.h"

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/target.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/program_text.h"
#include "compiler/lower/loop_ranges.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

Target Avx2() { return *Target::Parse("target/1 x86_64 cpu=haswell features=avx2,fma"); }

int Count(const std::string& text, const std::string& word) {
  int count = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

// The program with its blocks written out, which computes the same, bit for bit.
std::string Expanded(const std::string& text) {
  const auto before = ParseProgram(text);
  if (!before.ok()) return before.status().ToString();
  Program after = *before;
  Ranges ranges = ParamRanges(before->params);
  const auto expanded = ExpandMicrokernel(before->run, Avx2(), ranges);
  if (!expanded.ok()) return expanded.status().ToString();
  after.run = *expanded;

  std::map<std::string, Tensor> expected;
  for (const Buffer& buffer : before->buffers) {
    Tensor tensor = Tensor::Zeros(DType::kF32, {buffer.shape[0]->int_value});
    for (int64_t i = 0; i < buffer.shape[0]->int_value; ++i) tensor.Set(i, i * 5 % 7 - 3);
    expected[buffer.name] = tensor;
  }
  std::map<std::string, Tensor> actual = expected;
  EXPECT_TRUE(Evaluate(*before, {}, expected).ok());
  EXPECT_TRUE(Evaluate(after, {}, actual).ok());
  EXPECT_EQ(actual["y"].bytes, expected["y"].bytes);
  return ToString(after.run);
}

// Two rows of a tile over two steps of the reduction, where the rows' conditions differ and what
// stands around decides neither.
TEST(ExpandMicrokernel, PointsUnderOneConditionShareABranchOverAllSteps) {
  const std::string text = Expanded(
      "program/1\ninput x f32 [16]\ninput w f32 [2]\noutput y f32 [8]\nrun {\n"
      "  for h in 4 {\n"
      "    straight_line for i in 2 {\n"
      "      for r in 2 {\n"
      "        if h*2+r<=5 {\n"
      "          y[h*2+r] = fma(x[h*4+r*2+i],w[i],y[h*2+r])\n"
      "        }\n      }\n    }\n  }\n}\n");
  EXPECT_EQ(Count(text, "fma("), 4) << text;
  EXPECT_EQ(Count(text, "if "), 2) << text;
}

// A window of three over a row of `points`.
std::string SlidingWindow(int points) {
  return absl::StrCat("program/1\ninput x f32 [32]\ninput w f32 [3]\noutput y f32 [16]\nrun {\n",
                      "  straight_line for q in 3 {\n    for i in ", points,
                      " {\n      y[i] = fma(x[i+q],w[q],y[i])\n    }\n  }\n}\n");
}

TEST(ExpandMicrokernel, AWindowReadsEachElementOfARowOnce) {
  const std::string text = Expanded(SlidingWindow(6));
  EXPECT_EQ(Count(text, "fma("), 18) << text;
  EXPECT_EQ(Count(text, "= x["), 8) << text;
  EXPECT_EQ(Count(text, "= w["), 3) << text;
}

// 12 sums, 3 weights and an element are what 16 registers hold.
TEST(ExpandMicrokernel, AWindowIsReadStepByStepWhereItsSumsTakeTheRegisters) {
  EXPECT_EQ(Count(Expanded(SlidingWindow(12)), "= x["), 14);
  EXPECT_EQ(Count(Expanded(SlidingWindow(13)), "= x["), 39);
}

}  // namespace
}  // namespace hone
