#include "cli/shape_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ShapeOptionsTest, ReadsDimensionsAndWholeShapes) {
  ImportOptions options = *ParseShapeOptions({"batch_size=1", "image:0=1x3x480x640"});
  EXPECT_EQ(options.dims.at("batch_size"), 1);
  EXPECT_THAT(options.input_shapes.at("image:0"), ElementsAre(1, 3, 480, 640));
}

TEST(ShapeOptionsTest, SaysHowAShapeIsWritten) {
  for (const char* wrong : {"8", "=8", "n=", "n=0", "n=-1", "n=1x", "n=1,2", "n=one"}) {
    Status status = ParseShapeOptions({wrong}).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << wrong;
    EXPECT_THAT(std::string(status.message()), HasSubstr("--shape batch_size=1")) << wrong;
  }
}

}  // namespace
}  // namespace hone
