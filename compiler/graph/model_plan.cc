#include "compiler/graph/model_plan.h"

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "compiler/ir/tensor.h"

namespace hone {

int64_t PlanTensor::ElementCount() const { return hone::ElementCount(shape); }

int64_t PlanTensor::Bytes() const {
  return hone::ElementCount(layout.PhysicalShape(shape)) * DTypeBytes(dtype);
}

std::string PlanKernel::Key() const {
  std::string text = workload.ToString();
  for (size_t b = 0; b < layouts.size(); ++b) {
    absl::StrAppend(&text, "layout ", workload.buffers[b].name, " ", layouts[b].ToString(), "\n");
  }
  return Digest(text);
}

}  // namespace hone
