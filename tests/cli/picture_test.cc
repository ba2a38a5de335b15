#include "cli/picture.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "cli/preprocess.h"
#include "cli/tensor_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A 2 x 2 bitmap, rows from the bottom: blue, green; red, white.
std::string Bitmap() {
  std::string bytes = "BM";
  const auto u32 = [&](uint32_t value) {
    for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<char>(value >> 8 * i));
  };
  for (const uint32_t value :
       {70u, 0u, 54u, 40u, 2u, 2u, 1u | 24u << 16, 0u, 16u, 0u, 0u, 0u, 0u}) {
    u32(value);
  }
  const uint8_t pixels[] = {255, 0, 0, 0, 255, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0};
  bytes.append(reinterpret_cast<const char*>(pixels), sizeof(pixels));
  return bytes;
}

TEST(Picture, DecodesABitmap) {
  const StatusOr<Picture> picture = DecodePicture(Bitmap(), "x.bmp");
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->width, 2);
  EXPECT_EQ(picture->height, 2);
  EXPECT_THAT(picture->pixels, ElementsAre(255, 0, 0, 255, 255, 255, 0, 0, 255, 0, 255, 0));
}

TEST(Picture, NamesTheFileThatIsNone) {
  EXPECT_THAT(std::string(DecodePicture("hello", "x.png").status().message()),
              HasSubstr("x.png: not a readable PNG, JPEG or BMP"));
  EXPECT_FALSE(DecodePicture(Bitmap().substr(0, 20), "x.bmp").ok());
}

TEST(Picture, KeepsAnEvenColourWhenResized) {
  Picture grey = {.width = 7, .height = 5};
  grey.pixels.assign(7 * 5 * 3, 93);
  for (const Filter filter : {Filter::kBilinear, Filter::kBicubic})
    for (const int size : {1, 3, 5, 7, 20}) {
      const Picture resized = Resize(grey, size, size + 1, filter);
      EXPECT_EQ(resized.width, size);
      EXPECT_EQ(resized.height, size + 1);
      EXPECT_THAT(resized.pixels, Each(93));
    }
}

TEST(Picture, TakesTheMiddle) {
  Picture picture = {.width = 4, .height = 4, .channels = 1};
  for (int i = 0; i < 16; ++i) picture.pixels.push_back(static_cast<uint8_t>(i));
  EXPECT_THAT(CropCentre(picture, 2, 2).pixels, ElementsAre(5, 6, 9, 10));
}

TEST(Preprocess, LaysChannelsOutAsTheModelTakesThem) {
  const StatusOr<Picture> picture = DecodePicture(Bitmap(), "x.bmp");
  ASSERT_TRUE(picture.ok()) << picture.status();
  StatusOr<Tensor> tensor =
      PictureToTensor(*picture, Preprocess::kZeroTo255, DType::kF32, {1, 3, 2, 2});
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_THAT(tensor->ToDoubles(), ElementsAre(255, 255, 0, 0, 0, 255, 0, 255, 0, 255, 255, 0));
  tensor = PictureToTensor(*picture, Preprocess::kZeroTo255, DType::kU8, {1, 2, 2, 3});
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_THAT(tensor->ToDoubles(), ElementsAre(255, 0, 0, 255, 255, 255, 0, 0, 255, 0, 255, 0));
  tensor = PictureToTensor(*picture, Preprocess::kLuma, DType::kF64, {1, 1, 2, 2});
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_THAT(tensor->ToDoubles(), ElementsAre(76 / 255.0, 255 / 255.0, 29 / 255.0, 149 / 255.0));
  tensor = PictureToTensor(*picture, Preprocess::kImagenet, DType::kF64, {1, 3, 2, 2});
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_DOUBLE_EQ(tensor->Get(0), (1 - 0.485) / 0.229);
}

TEST(Preprocess, ReversesTheChannelsWithTheirScale) {
  const Picture picture = {.width = 1, .height = 1, .channels = 3, .pixels = {255, 0, 0}};
  const StatusOr<Tensor> tensor = PictureToTensor(picture, Preprocess::kImagenet, DType::kF64,
                                                  {1, 3, 1, 1}, ChannelOrder::kBgr);
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_DOUBLE_EQ(tensor->Get(0), (0 - 0.406) / 0.225);
  EXPECT_DOUBLE_EQ(tensor->Get(2), (1 - 0.485) / 0.229);
}

// The tensors beside the pre-trained networks were made from the pictures by other software.
struct PictureCase {
  const char* picture;
  const char* tensor;
  const char* preprocess;
  bool bgr;
  double mean_error;  // in the tensor's units; decoders and rounding differ a little
};

class RealPictures : public testing::TestWithParam<PictureCase> {};

TEST_P(RealPictures, BecomeTheTensorsThatNetworksWereRunWith) {
  const char* shared = std::getenv("HONE_SHARED_DIR");
  const char* source = std::getenv("HONE_SOURCE_DIR");
  const std::string models = shared != nullptr   ? std::string(shared) + "/models"
                             : source != nullptr ? std::string(source) + "/../shared/models"
                                                 : "";
  if (!std::filesystem::exists(models + "/inputs")) GTEST_SKIP() << "no pictures in " << models;
  const StatusOr<Tensor> expected =
      ReadTensorFile(models + "/ref/" + GetParam().tensor + "/test_data_set_0/input_0.pb");
  ASSERT_TRUE(expected.ok()) << expected.status();
  const StatusOr<Tensor> tensor =
      ReadPicture(models + "/inputs/" + GetParam().picture, "x",
                  {.dtype = expected->dtype, .shape = expected->shape},
                  {.preprocess = GetParam().preprocess, .bgr = GetParam().bgr});
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  double sum = 0;
  for (int64_t i = 0; i < tensor->ElementCount(); ++i) {
    sum += std::fabs(tensor->Get(i) - expected->Get(i));
  }
  EXPECT_LE(sum / static_cast<double>(tensor->ElementCount()), GetParam().mean_error);
}

INSTANTIATE_TEST_SUITE_P(
    All, RealPictures,
    testing::Values(PictureCase{"cat.png", "squeezenet_fp16/cat", "0-255", true, 0},
                    PictureCase{"winml_kitten_224.png", "squeezenet_fp16/winml_kitten_224", "0-255",
                                true, 0},
                    PictureCase{"winml_hummingbird.jpg", "squeezenet_fp16/winml_hummingbird",
                                "0-255", true, 0.05},
                    PictureCase{"cat.png", "super_resolution_10/cat", "luma", false, 1e-4}));

TEST(Preprocess, SaysWhatAnInputCannotTake) {
  const Picture picture = {.width = 1, .height = 1, .channels = 3, .pixels = {1, 2, 3}};
  const auto message = [&](Preprocess how, DType dtype, std::vector<int64_t> shape) {
    return std::string(PictureToTensor(picture, how, dtype, shape).status().message());
  };
  EXPECT_THAT(message(Preprocess::kLuma, DType::kF32, {1, 3, 2, 2}), HasSubstr("1 channel (luma)"));
  EXPECT_THAT(message(Preprocess::kImagenet, DType::kF32, {1, 1000}), HasSubstr("[1,1000]"));
  EXPECT_THAT(message(Preprocess::kImagenet, DType::kI64, {1, 3, 2, 2}), HasSubstr("i64"));
  EXPECT_THAT(std::string(ParsePreprocess("fancy").status().message()), HasSubstr("'fancy'"));
  EXPECT_THAT(std::string(ParsePreprocess("").status().message()), HasSubstr("--preprocess"));
}

}  // namespace
}  // namespace hone
