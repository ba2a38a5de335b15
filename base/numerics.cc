#include "base/numerics.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/check.h"

namespace hone {
namespace {

struct NumericsClass {
  Numerics numerics;
  const char* name;
  const char* description;
  double sequential_error_factor;
  int winograd_tile_max;
  bool strassen;
  int split_terms_min;
  bool rescales;
  const char* any_feature;  // the device needs one of these; "": any device serves
};

constexpr NumericsClass kClasses[] = {
    {Numerics::kStrict, "strict", "plain fp32 multiply-adds, direct algorithms", 1.2, 0, false, 0,
     false, ""},
    {Numerics::kFp32, "fp32",
     "what stays near fp32's own error: also Winograd's F(2,3), Strassen's products, 6 bf16 terms",
     4, 2, true, 6, true, ""},
    {Numerics::kFast, "fast",
     "fp32 values by coarser algorithms: also Winograd's F(4,3), 3 bf16 terms", 64, 4, true, 3,
     true, ""},
    {Numerics::kBf16, "bf16", "products of bf16 values, summed in fp32", 0, 0, false, 1, true,
     "amx-bf16,avx512bf16,bf16"},
    // Integers are exact; what is none keeps to fp32.
    {Numerics::kInt8, "int8", "integers exactly: bytes multiplied, summed in 32 bits", 4, 2, true,
     6, true, ""},
};

const NumericsClass& ClassOf(Numerics numerics) {
  for (const NumericsClass& c : kClasses) {
    if (c.numerics == numerics) return c;
  }
  HONE_CHECK(false) << "numerics " << static_cast<int>(numerics);
}

// Whether the device has what the class's kernels are made of.
bool HasFeatureOf(const Target& target, const NumericsClass& c) {
  const std::vector<std::string> features = absl::StrSplit(c.any_feature, ',', absl::SkipEmpty());
  return features.empty() ||
         std::any_of(features.begin(), features.end(),
                     [&](const std::string& feature) { return target.HasFeature(feature); });
}

}  // namespace

absl::string_view NumericsName(Numerics numerics) { return ClassOf(numerics).name; }

StatusOr<Numerics> ParseNumerics(absl::string_view name) {
  for (const NumericsClass& c : kClasses) {
    if (name == c.name) return c.numerics;
  }
  std::vector<std::string> names;
  for (const NumericsClass& c : kClasses) names.push_back(c.name);
  return absl::InvalidArgumentError(absl::StrCat(
      "there is no numerics class '", name, "'; the classes are ", absl::StrJoin(names, ", ")));
}

absl::string_view NumericsDescription(Numerics numerics) { return ClassOf(numerics).description; }

double SequentialErrorFactor(Numerics numerics) {
  return ClassOf(numerics).sequential_error_factor;
}

int WinogradTileMax(Numerics numerics) { return ClassOf(numerics).winograd_tile_max; }

bool AllowsStrassen(Numerics numerics) { return ClassOf(numerics).strassen; }

int SplitTermsMin(Numerics numerics) { return ClassOf(numerics).split_terms_min; }

bool MayRescaleSums(Numerics numerics) { return ClassOf(numerics).rescales; }

std::vector<Numerics> ClassesWithin(Numerics numerics) {
  switch (numerics) {
    case Numerics::kStrict:
      return {Numerics::kStrict};
    case Numerics::kFp32:
      return {Numerics::kFp32, Numerics::kStrict};
    case Numerics::kFast:
      return {Numerics::kFast, Numerics::kFp32, Numerics::kStrict};
    case Numerics::kBf16:
      return {Numerics::kBf16, Numerics::kFast, Numerics::kFp32, Numerics::kStrict};
    case Numerics::kInt8:  // what is no integer in it keeps to fp32
      return {Numerics::kInt8, Numerics::kFp32, Numerics::kStrict};
  }
  HONE_CHECK(false) << "numerics " << static_cast<int>(numerics);
}

Status CheckNumerics(Numerics numerics, const Target& target) {
  const NumericsClass& c = ClassOf(numerics);
  if (HasFeatureOf(target, c)) return absl::OkStatus();
  std::vector<std::string> names;
  for (const NumericsClass& other : kClasses) {
    if (HasFeatureOf(target, other)) names.push_back(other.name);
  }
  return absl::UnimplementedError(absl::StrCat(
      "numerics ", c.name, " needs one of the features ",
      absl::StrReplaceAll(c.any_feature, {{",", ", "}}), ", and the device (", target.cpu,
      ") has none; the classes that it has are ", absl::StrJoin(names, ", ")));
}

}  // namespace hone
