#include "device_agent/measure/boundary_memory.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/dtype.h"
#include "runtime/fill.h"

namespace hone {
namespace {

constexpr unsigned char kPoison = 0xFF;  // NaN in every float type
constexpr double kFlushNsPerLine = 500;

}  // namespace

std::string Deviation::ToString() const {
  return absl::StrCat(BufferLabel(buffer->info), ": ", worst.ToString());
}

Status BoundaryMemory::Allocate(const pb::Candidate& model, LastingMemory* memory) {
  const auto& buffers = model.artifact().manifest().buffers();
  for (int i = 0; i < buffers.size(); ++i) {
    if (buffers[i].role() == pb::BUFFER_ROLE_PREPARED) continue;
    BoundaryBuffer buffer;
    buffer.info = buffers[i];
    const char* dtype = buffer.info.dtype().c_str();
    const int64_t element_bytes = hone_dtype_bytes(dtype);
    if (element_bytes == 0)
      return absl::InvalidArgumentError(absl::StrCat("manifest: '", dtype, "' is no element type"));
    HONE_ASSIGN_OR_RETURN(buffer.elements, ElementCount(buffer.info, model));
    const int64_t bytes = buffer.elements * element_bytes;
    HONE_ASSIGN_OR_RETURN(buffer.memory,
                          GuardedBuffer::Allocate(bytes, memory, GuardedBuffer::Sharing::kShared));
    bytes_ += static_cast<double>(bytes);
    if (buffer.info.role() == pb::BUFFER_ROLE_CONSTANT) {
      // Itself, and what `prepare` makes of it.
      flush_limit_ns_ += 4 * static_cast<double>(bytes) / HONE_ALIGNMENT * kFlushNsPerLine;
      hone_fill(buffer.memory.data(), buffer.elements, dtype, batch_.input_seed(),
                static_cast<uint32_t>(i));
    }
    buffers_.push_back(std::move(buffer));
    manifest_index_.push_back(i);
    expected_.emplace_back();
  }
  FillInputs(batch_.input_seed());
  return absl::OkStatus();
}

void BoundaryMemory::FillInputs(uint64_t seed) {
  for (size_t i = 0; i < buffers_.size(); ++i) {
    const BoundaryBuffer& buffer = buffers_[i];
    if (buffer.info.role() == pb::BUFFER_ROLE_OUTPUT ||
        buffer.info.role() == pb::BUFFER_ROLE_CONSTANT)
      continue;
    hone_fill(buffer.memory.data(), buffer.elements, buffer.info.dtype().c_str(), seed,
              static_cast<uint32_t>(manifest_index_[i]));
  }
}

void BoundaryMemory::PoisonOutputs() {
  for (BoundaryBuffer& buffer : buffers_) {
    if (buffer.info.role() == pb::BUFFER_ROLE_OUTPUT) buffer.memory.Fill(kPoison);
  }
}

void BoundaryMemory::KeepExpected() {
  for (size_t i = 0; i < buffers_.size(); ++i) {
    if (buffers_[i].info.role() != pb::BUFFER_ROLE_OUTPUT) continue;
    expected_[i].assign(static_cast<const char*>(buffers_[i].memory.data()),
                        static_cast<size_t>(buffers_[i].memory.bytes()));
  }
}

std::string BoundaryMemory::FirstOverrun() const {
  for (const BoundaryBuffer& buffer : buffers_) {
    if (!buffer.memory.CanariesIntact()) return BufferLabel(buffer.info);
  }
  return "";
}

void BoundaryMemory::CompareWithExpected(Deviation& deviation) const {
  for (size_t i = 0; i < buffers_.size(); ++i) {
    if (expected_[i].empty()) continue;
    const Comparison comparison =
        CompareBuffers(buffers_[i].info.dtype().c_str(), buffers_[i].memory.data(),
                       expected_[i].data(), buffers_[i].elements, batch_.tolerance());
    if (comparison.max_error > deviation.worst.max_error) deviation = {comparison, &buffers_[i]};
  }
}

void BoundaryMemory::CompareSamples(pb::Measurement& measurement, Deviation& deviation) const {
  double error_squares = 0;
  double value_squares = 0;
  for (const pb::SamplePoint& sample : batch_.samples()) {
    const auto found = std::find(manifest_index_.begin(), manifest_index_.end(), sample.buffer());
    if (found == manifest_index_.end()) continue;
    const BoundaryBuffer& buffer = buffers_[found - manifest_index_.begin()];
    if (sample.element() < 0 || sample.element() >= buffer.elements) continue;
    const double got =
        ElementAsDouble(buffer.info.dtype().c_str(), buffer.memory.data(), sample.element());
    const double worst_before = deviation.worst.max_error;
    CompareElement(got, sample.value(), sample.element(), batch_.tolerance(), deviation.worst);
    if (deviation.worst.max_error > worst_before) deviation.buffer = &buffer;
    if (!std::isfinite(sample.value())) continue;  // right or wrong, but of no size
    error_squares += (got - sample.value()) * (got - sample.value());
    value_squares += sample.value() * sample.value();
  }
  if (value_squares <= 0) return;
  measurement.set_rms_error(std::sqrt(error_squares / value_squares));
  if (batch_.sequential_rms_error() > 0)
    measurement.set_error_ratio(measurement.rms_error() / batch_.sequential_rms_error());
}

}  // namespace hone
