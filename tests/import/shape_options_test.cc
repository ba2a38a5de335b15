#include "compiler/shape_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ShapeOptionsTest, ReadsDimensionsAndWholeShapes) {
  ImportOptions options = ParseShapeOptions({"batch_size=1", "image:0=1x3x480x640"})->import;
  EXPECT_EQ(options.dims.at("batch_size"), 1);
  EXPECT_THAT(options.input_shapes.at("image:0"), ElementsAre(1, 3, 480, 640));
}

TEST(ShapeOptionsTest, KeepsARangeOpen) {
  const ShapeOptions options = *ParseShapeOptions({"batch=0..8", "length=16", "heads=2..4"});
  ASSERT_EQ(options.ranges.size(), 2);
  EXPECT_EQ(options.ranges[0], (Param{"batch", 0, 8}));
  EXPECT_EQ(options.import.dims.at("batch"), 8);
  const ImportOptions at = options.At({3, 2});
  EXPECT_EQ(at.dims.at("batch"), 3);
  EXPECT_EQ(at.dims.at("heads"), 2);
  EXPECT_EQ(at.dims.at("length"), 16);
}

TEST(ShapeOptionsTest, SaysHowAShapeIsWritten) {
  for (const char* wrong : {"8", "=8", "n=", "n=0", "n=-1", "n=1x", "n=1,2", "n=one", "n=1..",
                            "n=8..1", "n=-1..8", "n=0..1", "n=1..2x3"}) {
    Status status = ParseShapeOptions({wrong}).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << wrong;
    EXPECT_THAT(std::string(status.message()), HasSubstr("--shape batch_size=1")) << wrong;
  }
}

}  // namespace
}  // namespace hone
