#include "tuner/space/sketch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

using testing::HasSubstr;

constexpr char kText[] =
    "sketch/1 rows\n"
    "hole ob in 8, 16\n"
    "hole inner in \"h w.0\", \"w.0 h\"\n"
    "require floordiv(ob,8)*3<=4\n"
    "schedule/1\n"
    "tile y o ?ob by 8\n"
    "reorder y n o.0 ?inner o.1\n";

std::string ErrorOf(absl::string_view text) {
  return std::string(Sketch::Parse(text, "my.sketch").status().message());
}

TEST(SketchTest, PrintsWhatItParsed) {
  auto sketch = Sketch::Parse(kText);
  ASSERT_TRUE(sketch.ok()) << sketch.status();
  EXPECT_EQ(sketch->ToString(), kText);
  EXPECT_EQ(sketch->name(), "rows");
  EXPECT_EQ(sketch->Size(), 4);
}

TEST(SketchTest, TakesAHeadingInPieces) {
  const auto sketch = Sketch::Parse("sketch /1 mine\n schedule /1\ntile y m 2\n");
  ASSERT_TRUE(sketch.ok()) << sketch.status();
  EXPECT_EQ(sketch->ToString(), "sketch/1 mine\n schedule /1\ntile y m 2\n");
  EXPECT_EQ(Sketch::Parse(sketch->ToString())->ToString(), sketch->ToString());
}

TEST(SketchTest, FillsItsHoles) {
  auto sketch = Sketch::Parse(kText);
  ASSERT_TRUE(sketch.ok());
  EXPECT_EQ(sketch->Describe({1, 0}), "ob=16 inner=h w.0");
  auto schedule = sketch->Instantiate({0, 1});
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  EXPECT_EQ(schedule->ToString(), "schedule/1\ntile y o 8 by 8\nreorder y n o.0 w.0 h o.1\n");
}

TEST(SketchTest, KnowsItsRequirements) {
  auto sketch = Sketch::Parse(kText);
  ASSERT_TRUE(sketch.ok());
  EXPECT_TRUE(sketch->Satisfies({0, 0}));
  EXPECT_FALSE(sketch->Satisfies({1, 0}));
}

TEST(SketchTest, SaysWhereAndWhatIsWrong) {
  EXPECT_THAT(ErrorOf("schedule/1\n"), HasSubstr("my.sketch:1:1: expected 'sketch/1'"));
  EXPECT_THAT(ErrorOf("sketch/1\nhole a on 3\nschedule/1\n"), HasSubstr("my.sketch:2:8"));
  EXPECT_THAT(ErrorOf("sketch/1\nhole a in 3\nhole a in 4\nschedule/1\ntile y w ?a\n"),
              HasSubstr("two holes are called 'a'"));
  EXPECT_THAT(ErrorOf("sketch/1\nhole a in 3\nschedule/1\n\n  tile y w ?b\n"),
              HasSubstr("my.sketch:5:12: there is no hole 'b'"));
  EXPECT_THAT(ErrorOf("sketch/1\nhole a in 3\nschedule/1\n"), HasSubstr("stands nowhere"));
  EXPECT_THAT(ErrorOf("sketch/1\nrequire b<3\nschedule/1\n"), HasSubstr("integer hole 'b'"));
  EXPECT_THAT(ErrorOf("sketch/1\nhole a in \"x, 3\nschedule/1\n"), HasSubstr("closing"));
  EXPECT_THAT(ErrorOf("sketch/1\nhole a in 3\n"), HasSubstr("expected 'schedule/1'"));
}

TEST(SketchTest, NamesTheLineOfAStepThatIsNone) {
  auto sketch = Sketch::Parse("sketch/1\nhole a in 3\nschedule/1\ntile y w ?a\nspin y w\n", "t");
  ASSERT_TRUE(sketch.ok()) << sketch.status();
  EXPECT_THAT(std::string(sketch->Instantiate({0}).status().message()), HasSubstr("t:5:"));
}

}  // namespace
}  // namespace hone
