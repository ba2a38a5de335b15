#include "tuner/space/sketch_writer.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_join.h"
#include "base/check.h"

namespace hone {

SketchWriter::SketchWriter(absl::string_view name, absl::string_view first_lines)
    : name_(name), lines_(first_lines) {}

SketchWriter SketchWriter::Continue(absl::string_view name) const {
  SketchWriter writer = *this;
  absl::StrAppend(&writer.name_, name_.empty() ? "" : "_", name);
  return writer;
}

std::string SketchWriter::Hole(absl::string_view name, const std::vector<int64_t>& values) {
  HONE_CHECK(!values.empty()) << "hole " << std::string(name) << " has no value";
  absl::StrAppend(&holes_, "hole ", name, " in ", absl::StrJoin(values, ", "), "\n");
  return absl::StrCat("?", name);
}

std::string SketchWriter::TextHole(absl::string_view name, const std::vector<std::string>& values) {
  HONE_CHECK(!values.empty()) << "hole " << std::string(name) << " has no value";
  absl::StrAppend(&holes_, "hole ", name, " in \"", absl::StrJoin(values, "\", \""), "\"\n");
  return absl::StrCat("?", name);
}

void SketchWriter::Require(absl::string_view requirement) {
  absl::StrAppend(&requirements_, "require ", requirement, "\n");
}

std::string SketchWriter::Fuse(absl::string_view stage, const std::vector<std::string>& loops) {
  HONE_CHECK(!loops.empty());
  std::string fused = loops[0];
  for (size_t i = 1; i < loops.size(); ++i) {
    Line("fuse ", stage, " ", fused, " ", loops[i]);
    absl::StrAppend(&fused, "_", loops[i]);
  }
  return fused;
}

std::string SketchWriter::FuseParallel(absl::string_view stage,
                                       const std::vector<std::string>& loops) {
  const std::string fused = Fuse(stage, loops);
  Line("parallel ", stage, " ", fused);
  return fused;
}

Sketch SketchWriter::Finish() const {
  StatusOr<Sketch> sketch =
      Sketch::Parse(absl::StrCat("sketch/1 ", name_, "\n", holes_, requirements_, "schedule/1\n",
                                 lines_, last_lines_),
                    name_);
  HONE_CHECK(sketch.ok()) << sketch.status().ToString();
  return *std::move(sketch);
}

std::vector<int64_t> DistinctTiles(int64_t extent, const std::vector<int64_t>& candidates) {
  std::map<int64_t, int64_t> smallest;  // by the number of tiles
  for (int64_t candidate : candidates) {
    const int64_t size = std::max<int64_t>(1, std::min(candidate, extent));
    const int64_t tiles = (std::max<int64_t>(extent, 1) + size - 1) / size;
    auto [it, inserted] = smallest.emplace(tiles, size);
    it->second = std::min(it->second, size);
  }
  std::vector<int64_t> sizes;
  for (const auto& [tiles, size] : smallest) sizes.push_back(size);
  std::sort(sizes.begin(), sizes.end());
  if (sizes.empty()) sizes.push_back(1);
  return sizes;
}

}  // namespace hone
