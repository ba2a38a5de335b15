#include "compiler/lower/expand_microkernel.h"

#include <map>
#include <string>

#include "compiler/ir/evaluate.h"
#include "compiler/ir/program_text.h"
#include "compiler/lower/loop_ranges.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

int Count(const std::string& text, const std::string& word) {
  int count = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

// Two rows of a tile over two steps of the reduction, where the rows' conditions differ and what
// stands around decides neither.
TEST(ExpandMicrokernel, PointsUnderOneConditionShareABranchOverAllSteps) {
  const auto before = ParseProgram(
      "program/1\ninput x f32 [16]\ninput w f32 [2]\noutput y f32 [8]\nrun {\n"
      "  for h in 4 {\n"
      "    straight_line for i in 2 {\n"
      "      for r in 2 {\n"
      "        if h*2+r<=5 {\n"
      "          y[h*2+r] = fma(x[h*4+r*2+i],w[i],y[h*2+r])\n"
      "        }\n      }\n    }\n  }\n}\n");
  ASSERT_TRUE(before.ok()) << before.status();
  Program after = *before;
  Ranges ranges = ParamRanges(before->params);
  const auto expanded = ExpandMicrokernel(before->run, 256, ranges);
  ASSERT_TRUE(expanded.ok()) << expanded.status();
  after.run = *expanded;
  const std::string text = ToString(after.run);
  EXPECT_EQ(Count(text, "fma("), 4) << text;
  EXPECT_EQ(Count(text, "if "), 2) << text;

  std::map<std::string, Tensor> expected;
  for (const Buffer& buffer : before->buffers) {
    Tensor tensor = Tensor::Zeros(DType::kF32, {buffer.shape[0]->int_value});
    for (int64_t i = 0; i < buffer.shape[0]->int_value; ++i) tensor.Set(i, i * 5 % 7 - 3);
    expected[buffer.name] = tensor;
  }
  std::map<std::string, Tensor> actual = expected;
  ASSERT_TRUE(Evaluate(*before, {}, expected).ok());
  ASSERT_TRUE(Evaluate(after, {}, actual).ok());
  EXPECT_EQ(actual["y"].bytes, expected["y"].bytes);
}

}  // namespace
}  // namespace hone
