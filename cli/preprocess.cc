#include "cli/preprocess.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr double kMean[] = {0.485, 0.456, 0.406};
constexpr double kDeviation[] = {0.229, 0.224, 0.225};

struct Geometry {
  int channels = 0;
  int height = 0;
  int width = 0;
  bool channels_last = false;
};

std::optional<Geometry> ParseGeometry(const std::vector<int64_t>& shape, int channels) {
  if (shape.size() != 4 || shape[0] != 1) return std::nullopt;
  constexpr int64_t kExtentMax = 1 << 15;
  for (const int64_t extent : shape) {
    if (extent < 1 || extent > kExtentMax) return std::nullopt;
  }
  const auto make = [&](int c, int h, int w, bool last) {
    return Geometry{static_cast<int>(shape[c]), static_cast<int>(shape[h]),
                    static_cast<int>(shape[w]), last};
  };
  if (shape[1] == channels) return make(1, 2, 3, false);
  if (shape[3] == channels) return make(3, 1, 2, true);
  return std::nullopt;
}

Picture Fit(const Picture& picture, Preprocess preprocess, const Geometry& geometry) {
  if (picture.width == geometry.width && picture.height == geometry.height) return picture;
  if (preprocess == Preprocess::kZeroToOne || preprocess == Preprocess::kLuma) {
    return Resize(picture, geometry.width, geometry.height, Filter::kBicubic);
  }
  const double scale = std::max(static_cast<double>(geometry.width) / picture.width,
                                static_cast<double>(geometry.height) / picture.height) *
                       256 / 224;
  const int width = std::max(geometry.width, static_cast<int>(std::lround(picture.width * scale)));
  const int height =
      std::max(geometry.height, static_cast<int>(std::lround(picture.height * scale)));
  return CropCentre(Resize(picture, width, height, Filter::kBilinear), geometry.width,
                    geometry.height);
}

// Y of YCbCr as JPEG defines it, each term in 64ths and the sum rounded down: so do the libraries
// that made the training data of networks for luma, and half a step is visible to such a network.
Picture ToLuma(const Picture& picture) {
  const auto term = [](double weight, uint8_t value) { return std::lround(weight * 64 * value); };
  Picture luma = {.width = picture.width, .height = picture.height, .channels = 1};
  luma.pixels.reserve(picture.pixels.size() / 3);
  for (size_t i = 0; i + 2 < picture.pixels.size(); i += 3) {
    const int64_t y = term(0.299, picture.pixels[i]) + term(0.587, picture.pixels[i + 1]) +
                      term(0.114, picture.pixels[i + 2]);
    luma.pixels.push_back(static_cast<uint8_t>(y >> 6));
  }
  return luma;
}

double Scale(Preprocess preprocess, int channel, uint8_t value) {
  switch (preprocess) {
    case Preprocess::kImagenet:
      return (value / 255.0 - kMean[channel]) / kDeviation[channel];
    case Preprocess::kZeroToOne:
    case Preprocess::kLuma:
      return value / 255.0;
    case Preprocess::kZeroTo255:
      return value;
  }
  return 0;
}

}  // namespace

StatusOr<Preprocess> ParsePreprocess(absl::string_view name) {
  if (name == "imagenet") return Preprocess::kImagenet;
  if (name == "0-1") return Preprocess::kZeroToOne;
  if (name == "0-255") return Preprocess::kZeroTo255;
  if (name == "luma") return Preprocess::kLuma;
  if (name.empty()) {
    return absl::InvalidArgumentError(
        "a picture needs --preprocess imagenet|0-1|0-255|luma: what the network expects of it");
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--preprocess '", name, "': it is imagenet, 0-1, 0-255 or luma"));
}

StatusOr<Tensor> PictureToTensor(const Picture& picture, Preprocess preprocess, DType dtype,
                                 const std::vector<int64_t>& shape, ChannelOrder order) {
  const int channels = preprocess == Preprocess::kLuma ? 1 : 3;
  const std::optional<Geometry> geometry = ParseGeometry(shape, channels);
  if (!geometry.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the input is ", ShapeText(shape), ", which is no picture of ", channels,
                     channels == 1 ? " channel (luma)" : " channels", "; give it as .npy or .pb"));
  }
  if (!IsFloat(dtype) && !(dtype == DType::kU8 && preprocess == Preprocess::kZeroTo255)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the input is ", DTypeName(dtype),
        "; pictures become floats, or u8 with --preprocess 0-255; give it as .npy or .pb"));
  }
  const Picture fitted =
      Fit(preprocess == Preprocess::kLuma ? ToLuma(picture) : picture, preprocess, *geometry);
  Tensor tensor = Tensor::Zeros(dtype, shape);
  int64_t i = 0;
  const auto store = [&](int y, int x, int c) {
    const int from = order == ChannelOrder::kBgr ? channels - 1 - c : c;
    tensor.Set(i++, Scale(preprocess, from, fitted.At(y, x, from)));
  };
  if (geometry->channels_last) {
    for (int y = 0; y < fitted.height; ++y)
      for (int x = 0; x < fitted.width; ++x)
        for (int c = 0; c < channels; ++c) store(y, x, c);
  } else {
    for (int c = 0; c < channels; ++c)
      for (int y = 0; y < fitted.height; ++y)
        for (int x = 0; x < fitted.width; ++x) store(y, x, c);
  }
  return tensor;
}

}  // namespace hone
