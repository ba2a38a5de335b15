// Pictures as a person has them (PNG, JPEG, BMP), decoded and resized. picture.cc is the one place
// that knows the decoding library; what a network wants of a picture is preprocess.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

struct Picture {
  int width = 0;
  int height = 0;
  int channels = 3;             // 3: red, green, blue; 1: grey
  std::vector<uint8_t> pixels;  // height x width x channels

  uint8_t At(int y, int x, int channel) const {
    return pixels[(static_cast<size_t>(y) * width + x) * channels + channel];
  }
};

// Always 3 channels; transparency is dropped. `what` names the bytes in errors: a file name.
StatusOr<Picture> DecodePicture(absl::string_view bytes, absl::string_view what);

enum class Filter { kBilinear, kBicubic };

// When shrinking, the filter is widened, so that every pixel counts.
Picture Resize(const Picture& picture, int width, int height, Filter filter);
// The middle `width` x `height`, which are at most the picture's.
Picture CropCentre(const Picture& picture, int width, int height);

}  // namespace hone
