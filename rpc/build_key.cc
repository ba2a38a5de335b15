#include "rpc/build_key.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/digest.h"

namespace hone {

std::string BuildKey(const pb::BuildRequest& request, const pb::CompilerVersion& version) {
  std::string text;
  // Each part behind its length: no two lists of parts have the same text.
  const std::string epoch = absl::StrCat(version.codegen_epoch());
  for (const absl::string_view part :
       {absl::string_view(request.workload()), absl::string_view(request.schedule()),
        absl::string_view(request.target()), absl::string_view(request.options().numerics()),
        absl::string_view(version.tool_version()), absl::string_view(epoch)}) {
    absl::StrAppend(&text, part.size(), ":", part);
  }
  return Digest(text);
}

std::string VersionText(const pb::CompilerVersion& version) {
  return absl::StrCat(version.tool_version(), ", codegen ", version.codegen_epoch());
}

bool IsSameVersion(const pb::CompilerVersion& a, const pb::CompilerVersion& b) {
  return a.tool_version() == b.tool_version() && a.codegen_epoch() == b.codegen_epoch();
}

}  // namespace hone
