// Batches of the small kernels in kernels/, for the tests of the agent.
#pragma once

#include <stdint.h>
#include <stdlib.h>

#include <cstdint>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <string>

#include "proto/batch.pb.h"

namespace hone {

// Enough for three pages and a bit, so that the end is not at a multiple of 64 bytes.
inline constexpr int64_t kTestElements = 3001;

inline std::string KernelCode(const std::string& name) {
  std::ifstream file(std::string(getenv("HONE_TEST_KERNELS_DIR")) + "/" + name + ".so",
                     std::ios::binary);
  std::ostringstream code;
  code << file.rdbuf();
  return code.str();
}

inline pb::Candidate TestCandidate(const std::string& kernel) {
  pb::Candidate candidate;
  candidate.set_schedule(kernel);
  candidate.mutable_artifact()->set_code(KernelCode("agent_" + kernel));
  candidate.mutable_artifact()->set_compile_ns(5);
  pb::Manifest& manifest = *candidate.mutable_artifact()->mutable_manifest();
  const auto add = [&manifest](const char* name, pb::BufferRole role) {
    pb::BufferInfo& buffer = *manifest.add_buffers();
    buffer.set_name(name);
    buffer.set_dtype("f32");
    buffer.set_role(role);
    buffer.add_shape()->set_param("n");
  };
  add("x", pb::BUFFER_ROLE_INPUT);
  add("w", pb::BUFFER_ROLE_CONSTANT);
  add("packed", pb::BUFFER_ROLE_PREPARED);
  add("y", pb::BUFFER_ROLE_OUTPUT);
  pb::ParamInfo& param = *manifest.add_params();
  param.set_name("n");
  param.set_max(kTestElements);
  manifest.set_scratch_shared_bytes(64);
  manifest.set_has_prepare(true);
  return candidate;
}

// Candidates of these kernels, and the good one as reference.
inline pb::Batch TestBatch(std::initializer_list<const char*> kernels) {
  pb::Batch batch;
  batch.set_target(
      "target/1 x86_64 cpu=x86-64 features= l1=32768 l2=524288 l3=0 cores=2 threads=1");
  for (const char* kernel : kernels) *batch.add_candidates() = TestCandidate(kernel);
  *batch.mutable_reference() = TestCandidate("good");
  batch.set_input_seed(7);
  batch.mutable_tolerance()->set_rtol(1e-5);
  batch.mutable_tolerance()->set_atol(1e-6);
  batch.set_timeout_ms(200);
  return batch;
}

}  // namespace hone
