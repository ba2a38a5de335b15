#include "base/target.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace hone {
namespace {

Status BadField(absl::string_view field) {
  return absl::InvalidArgumentError(absl::StrCat(
      "target: bad field '", field,
      "'; a target reads like: target/1 x86_64 cpu=znver3 features=avx2,fma l1=32768 l2=524288 "
      "l3=33554432 cores=2 threads=1"));
}

}  // namespace

bool Target::HasFeature(absl::string_view feature) const {
  return std::binary_search(features.begin(), features.end(), std::string(feature));
}

int Target::VectorBits() const {
  if (arch == "x86_64") {
    if (HasFeature("avx512f")) return 512;
    if (HasFeature("avx")) return 256;
  }
  return 128;
}

int Target::VectorRegisters() const {
  if (arch == "x86_64") return HasFeature("avx512f") ? 32 : 16;
  return arch == "aarch64" ? 32 : 16;
}

std::string Target::ToString() const {
  return absl::StrCat("target/1 ", arch, " cpu=", cpu, " features=", absl::StrJoin(features, ","),
                      " l1=", l1_bytes, " l2=", l2_bytes, " l3=", l3_bytes, " cores=", cores,
                      " threads=", threads);
}

StatusOr<Target> Target::Parse(absl::string_view text) {
  std::vector<std::string> fields = absl::StrSplit(text, ' ', absl::SkipWhitespace());
  if (fields.size() < 2 || fields[0] != "target/1")
    return BadField(fields.empty() ? "" : fields[0]);
  Target target;
  target.arch = fields[1];
  for (size_t i = 2; i < fields.size(); ++i) {
    std::pair<std::string, std::string> pair = absl::StrSplit(fields[i], absl::MaxSplits('=', 1));
    const auto& [key, value] = pair;
    int64_t number = 0;
    const bool numeric = absl::SimpleAtoi(value, &number) && number >= 0;
    if (key == "cpu") {
      target.cpu = value;
    } else if (key == "features") {
      target.features = absl::StrSplit(value, ',', absl::SkipEmpty());
      std::sort(target.features.begin(), target.features.end());
    } else if (key == "l1" && numeric) {
      target.l1_bytes = number;
    } else if (key == "l2" && numeric) {
      target.l2_bytes = number;
    } else if (key == "l3" && numeric) {
      target.l3_bytes = number;
    } else if (key == "cores" && numeric && number > 0) {
      target.cores = static_cast<int>(number);
    } else if (key == "threads" && numeric && number > 0) {
      target.threads = static_cast<int>(number);
    } else {
      return BadField(fields[i]);
    }
  }
  return target;
}

}  // namespace hone
