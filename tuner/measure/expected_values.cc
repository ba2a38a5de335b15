#include "tuner/measure/expected_values.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "compiler/ir/layout.h"
#include "compiler/operators/reference.h"
#include "runtime/fill.h"
#include "tuner/space/access.h"

namespace hone {
namespace {

struct BoundaryBuffer {
  const Buffer* buffer = nullptr;
  int index = 0;  // in the manifest
  Layout layout;
  std::vector<int64_t> shape;  // logical
};

StatusOr<std::vector<BoundaryBuffer>> MatchBuffers(const Workload& workload,
                                                   const pb::Manifest& manifest) {
  std::vector<BoundaryBuffer> found;
  for (int i = 0; i < manifest.buffers_size(); ++i) {
    const pb::BufferInfo& info = manifest.buffers(i);
    if (info.role() == pb::BUFFER_ROLE_PREPARED) continue;
    BoundaryBuffer boundary;
    boundary.buffer = workload.FindBuffer(info.name());
    if (boundary.buffer == nullptr) {
      return absl::InternalError(
          absl::StrCat("the artifact has a buffer '", info.name(), "' that the workload lacks"));
    }
    boundary.index = i;
    for (const Expr& extent : boundary.buffer->shape) {
      boundary.shape.push_back(ExtentValue(extent, workload.params));
    }
    boundary.layout = Layout::Identity(static_cast<int>(boundary.shape.size()));
    if (!info.layout().empty()) {
      HONE_ASSIGN_OR_RETURN(boundary.layout, Layout::Parse(info.layout()));
    }
    found.push_back(std::move(boundary));
  }
  return found;
}

}  // namespace

StatusOr<std::vector<pb::SamplePoint>> ComputeSamples(const Workload& workload,
                                                      const pb::Manifest& manifest, uint64_t seed,
                                                      int points) {
  HONE_ASSIGN_OR_RETURN(std::vector<BoundaryBuffer> buffers, MatchBuffers(workload, manifest));
  ParamMap params;
  for (const Param& param : workload.params) params[param.name] = param.max;
  TensorMap inputs;
  for (const BoundaryBuffer& boundary : buffers) {
    if (boundary.buffer->role == BufferRole::kOutput) continue;
    const DType dtype = boundary.buffer->dtype;
    const int64_t elements = ElementCount(boundary.layout.PhysicalShape(boundary.shape));
    std::string memory(elements * DTypeBytes(dtype), '\0');
    if (hone_fill(memory.data(), elements, std::string(DTypeName(dtype)).c_str(), seed,
                  static_cast<uint32_t>(boundary.index)) != 0) {
      return absl::InternalError(absl::StrCat("cannot fill a buffer of ", DTypeName(dtype)));
    }
    Tensor tensor = Tensor::Zeros(dtype, boundary.shape);
    ConvertLayout(memory.data(), boundary.layout, tensor.bytes.data(),
                  Layout::Identity(static_cast<int>(boundary.shape.size())), boundary.shape,
                  DTypeBytes(dtype));
    inputs[boundary.buffer->name] = std::move(tensor);
  }
  std::vector<pb::SamplePoint> samples;
  for (const BoundaryBuffer& boundary : buffers) {
    if (boundary.buffer->role != BufferRole::kOutput) continue;
    const int64_t total = ElementCount(boundary.shape);
    const int64_t count = std::min<int64_t>(points, total);
    std::vector<std::vector<int64_t>> at;
    for (int64_t p = 0; p < count; ++p) {
      // The first and the last element are among them.
      int64_t flat = count == 1 ? 0 : (total - 1) * p / (count - 1);
      std::vector<int64_t> point(boundary.shape.size());
      for (size_t d = point.size(); d-- > 0;) {
        point[d] = flat % boundary.shape[d];
        flat /= boundary.shape[d];
      }
      at.push_back(std::move(point));
    }
    HONE_ASSIGN_OR_RETURN(std::vector<double> values,
                          EvaluateSamples(workload, inputs, boundary.buffer->name, at, params));
    for (size_t p = 0; p < at.size(); ++p) {
      pb::SamplePoint sample;
      sample.set_buffer(boundary.index);
      sample.set_element(boundary.layout.Offset(at[p], boundary.shape));
      sample.set_value(values[p]);
      samples.push_back(std::move(sample));
    }
  }
  return samples;
}

pb::Tolerance ToleranceOf(const Workload& workload) {
  double terms = 1;
  bool narrow = false;
  for (const Stage& stage : workload.stages) {
    double reduced = 1;
    if (stage.combiner == Combiner::kSum) {
      for (const Dim& dim : stage.reduce) {
        reduced *= static_cast<double>(ExtentValue(dim.extent, workload.params));
      }
    }
    terms = std::max(terms, reduced);
    narrow |= stage.dtype == DType::kF16 || stage.dtype == DType::kBF16;
  }
  pb::Tolerance tolerance;
  tolerance.set_rtol(narrow ? 1e-2 : 2e-4);
  tolerance.set_atol((narrow ? 4e-3 : 2e-5) * std::sqrt(terms));
  return tolerance;
}

}  // namespace hone
