#include "cli/numerics_option.h"

namespace hone {

Option NumericsOption(std::string* numerics) {
  return {"--numerics", "CLASS",
          "how exact kernels must be: strict, fp32, fast, bf16 or int8 (see the manual)", numerics};
}

}  // namespace hone
