#include "cli/tensor_file.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "cli/npy.h"
#include "cli/picture.h"
#include "cli/preprocess.h"
#include "compiler/import/tensor_proto.h"

namespace hone {
namespace {

bool HasEnding(absl::string_view path, absl::string_view ending) {
  return absl::EndsWithIgnoreCase(path, ending);
}

}  // namespace

bool IsPicture(absl::string_view path) {
  return HasEnding(path, ".png") || HasEnding(path, ".jpg") || HasEnding(path, ".jpeg") ||
         HasEnding(path, ".bmp");
}

StatusOr<Tensor> ReadTensorFile(const std::string& path) {
  HONE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  if (HasEnding(path, ".npy")) return ParseNpy(bytes, path);
  if (HasEnding(path, ".pb")) {
    HONE_ASSIGN_OR_RETURN(NamedTensor tensor, ParseTensorProto(bytes, path));
    return std::move(tensor.tensor);
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": not a kind of file hone reads: .npy, .pb, .png, .jpg, .bmp"));
}

StatusOr<Tensor> ReadPicture(const std::string& path, absl::string_view name,
                             const TensorType& type, const PictureOptions& picture_options) {
  HONE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  HONE_ASSIGN_OR_RETURN(const Picture picture, DecodePicture(bytes, path));
  HONE_ASSIGN_OR_RETURN(const Preprocess how, ParsePreprocess(picture_options.preprocess));
  const ChannelOrder order = picture_options.bgr ? ChannelOrder::kBgr : ChannelOrder::kRgb;
  StatusOr<Tensor> tensor = PictureToTensor(picture, how, type.dtype, type.shape, order);
  if (tensor.ok()) return tensor;
  return absl::Status(tensor.status().code(),
                      absl::StrCat(path, " for '", name, "': ", tensor.status().message()));
}

}  // namespace hone
