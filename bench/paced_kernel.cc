#include "bench/paced_kernel.h"

#include <string>

#include "absl/strings/str_format.h"
#include "base/file.h"

namespace hone {

pb::Candidate PacedCandidate(int64_t turns) {
  static const std::string code = ReadFile(HONE_PACED_KERNEL).value();
  pb::Candidate candidate;
  candidate.set_schedule(absl::StrFormat("schedule/1 %d", turns));
  candidate.mutable_artifact()->set_code(code);
  pb::Manifest& manifest = *candidate.mutable_artifact()->mutable_manifest();
  const auto add = [&](const char* name, pb::BufferRole role) {
    pb::BufferInfo& buffer = *manifest.add_buffers();
    buffer.set_name(name);
    buffer.set_dtype("f32");
    buffer.set_role(role);
    buffer.add_shape()->set_value(1);
  };
  add("x", pb::BUFFER_ROLE_INPUT);
  add("y", pb::BUFFER_ROLE_OUTPUT);
  pb::ParamInfo& param = *manifest.add_params();
  param.set_name("turns");
  param.set_max(turns);
  return candidate;
}

}  // namespace hone
