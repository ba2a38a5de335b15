#include "cli/shape_option.h"

namespace hone {

Option ShapeOption(std::vector<std::string>* shapes) {
  return {
      "--shape", "NAME=VALUE",
      "size of a dimension that the model leaves open (batch_size=1, or batch_size=1..8 to leave "
      "it "
      "open between these), or the whole shape of an input (INPUT=1x3x480x640); a single size is "
      "taken for the dimension NAME first, then for the one-dimensional input NAME",
      shapes};
}

}  // namespace hone
