// Writes the bytes of runtime/model_format.h: collects records and blobs in any order, then lays
// them out. Equal strings and equal blobs are stored once. Used by build_package; it knows the
// format, and nothing of plans and kernels.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "runtime/model_format.h"

namespace hone {

class ModelImageWriter {
 public:
  // Each returns what records refer to it by.
  uint32_t AddString(absl::string_view text);
  // Stored at a multiple of 64 bytes. The result counts from the first blob; Finish moves operands
  // of place HONE_PLACE_CONSTANT and the code of kernels to where the blobs come to lie.
  uint64_t AddBlob(std::string bytes);
  uint32_t AddKernel(const hone_model_kernel& kernel);
  uint32_t AddSize(const hone_model_size& size);
  void AddParam(const hone_model_param& param) { params_.push_back(param); }
  void AddInput(const hone_model_tensor& tensor) { inputs_.push_back(tensor); }
  void AddOutput(const hone_model_tensor& tensor) { outputs_.push_back(tensor); }
  // The instruction takes the operands; first_operand and operand_count are filled in.
  void AddInstruction(hone_model_instruction instruction,
                      const std::vector<hone_model_operand>& operands);

  // `header` gives name, target, cpu_features, arena_bytes and thread_count; the rest is filled in.
  std::string Finish(hone_model_header header);

 private:
  std::string strings_;
  std::map<std::string, uint32_t> string_offsets_;
  std::vector<std::string> blobs_;
  std::map<std::string, uint64_t> blob_offsets_;  // by digest
  uint64_t blob_bytes_ = 0;
  std::vector<hone_model_tensor> inputs_;
  std::vector<hone_model_tensor> outputs_;
  std::vector<hone_model_kernel> kernels_;
  std::vector<hone_model_instruction> instructions_;
  std::vector<hone_model_operand> operands_;
  std::vector<hone_model_param> params_;
  std::vector<hone_model_size> sizes_;
};

}  // namespace hone
