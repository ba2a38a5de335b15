#include "compiler/ir/simplify.h"

#include <gtest/gtest.h>

#include <random>

#include "base/text_reader.h"
#include "compiler/ir/expr_text.h"

namespace hone {
namespace {

Expr Parse(absl::string_view text) {
  TextReader reader(text, "test");
  ExprScope scope;
  scope.variable = [](absl::string_view) -> StatusOr<Type> { return Type{}; };
  scope.buffer = [](absl::string_view) -> StatusOr<DType> { return DType::kF32; };
  auto parsed = ParseExpr(reader, scope);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return *parsed;
}

std::string Simplified(absl::string_view text, const Ranges& ranges) {
  return ToString(Simplify(Parse(text), ranges));
}

TEST(SimplifyTest, GathersTermsAndConstants) {
  EXPECT_EQ(Simplified("a+3+b*2+a-1", {}), "a*2+b*2+2");
  EXPECT_EQ(Simplified("(a+1)*4-a*4", {}), "4");
}

TEST(SimplifyTest, ResolvesBlockedIndicesOfTiledLoops) {
  Ranges ranges = {{"oo", {0, 3}}, {"oi", {0, 15}}, {"v", {0, 7}}};
  EXPECT_EQ(Simplified("floordiv(oo*16+oi,16)", ranges), "oo");
  EXPECT_EQ(Simplified("floormod(oo*16+oi,16)", ranges), "oi");
  EXPECT_EQ(Simplified("floordiv(oo*16+8+v,8)", ranges), "oo*2+1");
  EXPECT_EQ(Simplified("floormod(oo*16+8+v,8)", ranges), "v");
  EXPECT_EQ(Simplified("floordiv(oo*16+oi,8)", ranges), "floordiv(oi,8)+oo*2");
}

TEST(SimplifyTest, SeesGroupsWithinBlocks) {
  Ranges ranges = {{"g", {0, 127}}, {"e", {0, 1}}, {"v", {0, 7}}};
  EXPECT_EQ(Simplified("floordiv(g*2+e,32)", ranges), "floordiv(g,16)");
  EXPECT_EQ(Simplified("floormod(g*2+e,32)", ranges), "e+floormod(g,16)*2");
  EXPECT_EQ(Simplified("floordiv(g*12+v+1,16)", ranges), "floordiv(g*12+v+1,16)")
      << "a group of 4 does not hold 8";
}

TEST(SimplifyTest, PutsFusedIndicesTogetherAgain) {
  EXPECT_EQ(Simplified("floordiv(f,56)*56+floormod(f,56)", {{"f", {0, 3135}}}), "f");
  EXPECT_EQ(Simplified("floordiv(f,56)*448+floormod(f,56)*8+3", {{"f", {0, 3135}}}), "f*8+3");
}

TEST(SimplifyTest, DecidesComparisonsByRanges) {
  EXPECT_EQ(Simplified("h+p-1<57", {{"h", {0, 55}}, {"p", {0, 2}}}), "1:bool");
  EXPECT_EQ(Simplified("0<=h+p-1", {{"h", {1, 55}}, {"p", {0, 2}}}), "1:bool");
  EXPECT_EQ(Simplified("min(a,7)", {{"a", {0, 6}}}), "a");
}

// The value of an index expression.
int64_t ValueOf(const Expr& e, const std::map<std::string, int64_t>& values) {
  std::map<std::string, Expr> constants;
  for (const auto& [name, value] : values) constants[name] = Int(value);
  Expr folded = Substitute(e, constants);
  EXPECT_TRUE(folded.IsInt()) << ToString(folded);
  return folded->int_value;
}

Expr RandomIndex(std::mt19937_64& random, int depth) {
  switch (depth == 0 ? random() % 2 : random() % 8) {
    case 0:
      return Int(static_cast<int64_t>(random() % 21) - 10);
    case 1:
      return Var(std::string(1, static_cast<char>('a' + random() % 3)));
    case 2:
      return RandomIndex(random, depth - 1) + RandomIndex(random, depth - 1);
    case 3:
      return RandomIndex(random, depth - 1) - RandomIndex(random, depth - 1);
    case 4:
      return RandomIndex(random, depth - 1) * static_cast<int64_t>(random() % 9);
    case 5:
      return FloorDiv(RandomIndex(random, depth - 1), 1 + static_cast<int64_t>(random() % 8));
    case 6:
      return FloorMod(RandomIndex(random, depth - 1), 1 + static_cast<int64_t>(random() % 8));
    default:
      return random() % 2 ? Min(RandomIndex(random, depth - 1), RandomIndex(random, depth - 1))
                          : Max(RandomIndex(random, depth - 1), RandomIndex(random, depth - 1));
  }
}

TEST(SimplifyTest, NeverChangesAValue) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 3000; ++round) {
    Expr e = RandomIndex(random, 4);
    Ranges ranges;
    std::map<std::string, int64_t> values;
    for (const char* name : {"a", "b", "c"}) {
      const int64_t max = static_cast<int64_t>(random() % 20);
      ranges[name] = {0, max};
      values[name] = static_cast<int64_t>(random()) % (max + 1);
      if (values[name] < 0) values[name] = -values[name];
    }
    Expr simplified = Simplify(e, ranges);
    ASSERT_EQ(ValueOf(e, values), ValueOf(simplified, values))
        << ToString(e) << "  ->  " << ToString(simplified) << " in round " << round;
    if (auto bounds = Bounds(e, ranges)) {
      ASSERT_LE(bounds->min, ValueOf(e, values)) << ToString(e);
      ASSERT_GE(bounds->max, ValueOf(e, values)) << ToString(e);
    }
  }
}

}  // namespace
}  // namespace hone
