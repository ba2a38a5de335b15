// Turns a picture into the tensor a network wants: its size, its channels, its range of values.
#pragma once

#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "cli/picture.h"
#include "compiler/ir/tensor.h"

namespace hone {

enum class Preprocess {
  kImagenet,   // (value / 255 - mean) / deviation, of ImageNet's channels
  kZeroToOne,  // value / 255
  kZeroTo255,  // the value
  kLuma,       // one channel, Y of YCbCr, / 255
};

// "imagenet", "0-1", "0-255", "luma".
StatusOr<Preprocess> ParsePreprocess(absl::string_view name);

// The order in which a network takes the channels; those trained with Caffe take blue first.
enum class ChannelOrder { kRgb, kBgr };

// `shape` is [1,C,H,W] or [1,H,W,C] with C = 3, or 1 for luma. A picture of another size is made to
// fit. `imagenet` and `0-255`, as classifiers are trained: the shorter side to H * 256 / 224, then
// the middle H x W. `0-1` and `luma`: resized to H x W. InvalidArgument for a shape that holds no
// picture. Values go into floats and, for 0-255, into u8.
StatusOr<Tensor> PictureToTensor(const Picture& picture, Preprocess preprocess, DType dtype,
                                 const std::vector<int64_t>& shape,
                                 ChannelOrder order = ChannelOrder::kRgb);

}  // namespace hone
