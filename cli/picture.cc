#include "cli/picture.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_ONLY_BMP
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_MAX_DIMENSIONS (1 << 15)
#pragma GCC diagnostic ignored "-Wunused-function"
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <stb/stb_image.h>

namespace hone {
namespace {

// The filter's weight at distance `x`, which is 0 from its radius on.
double Weight(Filter filter, double x) {
  x = std::fabs(x);
  if (filter == Filter::kBilinear) return std::max(0.0, 1 - x);
  // Keys' cubic with a = -0.5.
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

double Radius(Filter filter) { return filter == Filter::kBilinear ? 1 : 2; }

// The source positions and weights of one output position.
struct Taps {
  int first = 0;
  std::vector<double> weights;  // sum 1
};

std::vector<Taps> MakeTaps(int from, int to, Filter filter) {
  const double scale = static_cast<double>(from) / to;
  const double widen = std::max(scale, 1.0);
  const double reach = widen * Radius(filter);
  std::vector<Taps> all(to);
  for (int i = 0; i < to; ++i) {
    const double centre = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(centre - reach + 0.5));
    const int last = std::min(from, static_cast<int>(centre + reach + 0.5));
    Taps& taps = all[i];
    taps.first = first;
    double sum = 0;
    for (int j = first; j < last; ++j) {
      taps.weights.push_back(Weight(filter, (j + 0.5 - centre) / widen));
      sum += taps.weights.back();
    }
    for (double& weight : taps.weights) weight /= sum;
  }
  return all;
}

uint8_t ToByte(double value) {
  return static_cast<uint8_t>(std::clamp(std::floor(value + 0.5), 0.0, 255.0));
}

// Resizes the columns, or the rows.
Picture ResizeAxis(const Picture& from, int to, bool rows, Filter filter) {
  const std::vector<Taps> all = MakeTaps(rows ? from.height : from.width, to, filter);
  Picture result = {.width = rows ? from.width : to,
                    .height = rows ? to : from.height,
                    .channels = from.channels};
  result.pixels.resize(static_cast<size_t>(result.width) * result.height * result.channels);
  uint8_t* out = result.pixels.data();
  for (int y = 0; y < result.height; ++y) {
    for (int x = 0; x < result.width; ++x) {
      const Taps& taps = all[rows ? y : x];
      for (int c = 0; c < result.channels; ++c) {
        double sum = 0;
        for (size_t k = 0; k < taps.weights.size(); ++k) {
          const int at = taps.first + static_cast<int>(k);
          sum += taps.weights[k] * (rows ? from.At(at, x, c) : from.At(y, at, c));
        }
        *out++ = ToByte(sum);
      }
    }
  }
  return result;
}

}  // namespace

StatusOr<Picture> DecodePicture(absl::string_view bytes, absl::string_view what) {
  constexpr int kChannels = 3;
  int width = 0;
  int height = 0;
  int channels_in_file = 0;
  stbi_uc* pixels =
      stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(bytes.data()),
                            static_cast<int>(std::min<size_t>(bytes.size(), INT32_MAX)), &width,
                            &height, &channels_in_file, kChannels);
  if (pixels == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": not a readable PNG, JPEG or BMP (", stbi_failure_reason(), ")"));
  }
  Picture picture = {.width = width, .height = height, .channels = kChannels};
  picture.pixels.assign(pixels, pixels + static_cast<size_t>(width) * height * kChannels);
  stbi_image_free(pixels);
  return picture;
}

Picture Resize(const Picture& picture, int width, int height, Filter filter) {
  Picture result = picture;
  if (width != result.width) result = ResizeAxis(result, width, /*rows=*/false, filter);
  if (height != result.height) result = ResizeAxis(result, height, /*rows=*/true, filter);
  return result;
}

Picture CropCentre(const Picture& picture, int width, int height) {
  const int left = (picture.width - width) / 2;
  const int top = (picture.height - height) / 2;
  Picture result = {.width = width, .height = height, .channels = picture.channels};
  for (int y = 0; y < height; ++y) {
    const auto begin = picture.pixels.begin() +
                       (static_cast<int64_t>(top + y) * picture.width + left) * picture.channels;
    result.pixels.insert(result.pixels.end(), begin, begin + width * picture.channels);
  }
  return result;
}

}  // namespace hone
