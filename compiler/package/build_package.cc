#include "compiler/package/build_package.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compiler/package/memory_plan.h"
#include "compiler/package/model_image_writer.h"
#include "compiler/package/prepare_constants.h"
#include "compiler/package/shared_object.h"
#include "runtime/kernel.h"

namespace hone {
namespace {

class PackageBuilder {
 public:
  PackageBuilder(const ModelPlan& plan, const std::vector<pb::Artifact>& artifacts,
                 const MemoryPlan& memory)
      : plan_(plan), artifacts_(artifacts), memory_(memory) {}

  Status AddEverything();
  std::string Finish(const Target& target);

 private:
  StatusOr<hone_model_tensor> DescribeTensor(int tensor);
  std::vector<std::string> FeaturesUsed(const Target& target) const;
  Status AddKernel(int kernel);
  Status AddCall(const PlanCall& call);
  StatusOr<hone_model_operand> OperandOf(int tensor);
  // The bytes of a constant tensor, which may be a part of another's.
  StatusOr<absl::string_view> ConstantBytes(int tensor) const;

  const ModelPlan& plan_;
  const std::vector<pb::Artifact>& artifacts_;
  const MemoryPlan& memory_;
  ModelImageWriter writer_;
};

Status PackageError(absl::string_view where, absl::string_view what) {
  return absl::InternalError(absl::StrCat("package: ", where, ": ", what));
}

hone_model_size SizeRecord(const RunTimeSize& size) {
  hone_model_size record = {};
  record.top = size.top;
  if (size.param >= 0) {
    record.scale = size.scale;
    record.param = static_cast<uint32_t>(size.param);
  }
  return record;
}

StatusOr<hone_model_tensor> PackageBuilder::DescribeTensor(int tensor) {
  const PlanTensor& from = plan_.tensors[tensor];
  if (!from.layout.IsIdentity()) {
    return PackageError(from.name, "inputs and outputs have the identity layout");
  }
  if (from.shape.size() > HONE_MODEL_RANK_MAX) {
    return absl::UnimplementedError(absl::StrCat("'", from.name, "' has ", from.shape.size(),
                                                 " dimensions; a compiled model takes at most ",
                                                 HONE_MODEL_RANK_MAX));
  }
  hone_model_tensor to = {};
  to.name = writer_.AddString(from.name);
  to.rank = static_cast<uint32_t>(from.shape.size());
  const absl::string_view dtype = DTypeName(from.dtype);
  std::memcpy(to.dtype, dtype.data(), dtype.size());
  for (size_t i = 0; i < from.shape.size(); ++i) {
    to.shape[i] = from.run_time_shape.empty() ? SizeRecord({.top = from.shape[i]})
                                              : SizeRecord(from.run_time_shape[i]);
  }
  to.bytes = static_cast<uint64_t>(from.Bytes());
  return to;
}

// Those of the target, without a matrix unit's where no kernel has use for one: asking the system
// for its registers is no small thing.
std::vector<std::string> PackageBuilder::FeaturesUsed(const Target& target) const {
  std::vector<std::string> features = target.features;
  const bool uses_tiles =
      std::any_of(artifacts_.begin(), artifacts_.end(),
                  [](const pb::Artifact& artifact) { return artifact.manifest().needs_tiles(); });
  if (!uses_tiles) {
    std::erase_if(features, [](const std::string& f) { return absl::StartsWith(f, "amx-"); });
  }
  return features;
}

Status PackageBuilder::AddKernel(int kernel) {
  const PlanKernel& from = plan_.kernels[kernel];
  const pb::Manifest& manifest = artifacts_[kernel].manifest();
  hone_model_kernel to = {};
  to.name = writer_.AddString(from.name);
  to.entry = writer_.AddString(HONE_RUN_SYMBOL);
  to.code_offset = writer_.AddBlob(artifacts_[kernel].code());
  to.code_bytes = artifacts_[kernel].code().size();
  to.scratch_shared_bytes = static_cast<uint64_t>(manifest.scratch_shared_bytes());
  to.scratch_worker_bytes = static_cast<uint64_t>(manifest.scratch_worker_bytes());
  to.flop_count = FlopCount(from.workload);
  to.argument_bytes = static_cast<uint64_t>(ArgumentBytes(from.workload));
  writer_.AddKernel(to);
  return absl::OkStatus();
}

StatusOr<absl::string_view> PackageBuilder::ConstantBytes(int tensor) const {
  const TensorPlace& place = memory_.tensors[tensor];
  if (place.place != Place::kConstant) {
    return PackageError(plan_.tensors[tensor].name, "a kernel takes it as a constant, it is none");
  }
  const PlanTensor& whole = plan_.tensors[place.index];
  const int64_t bytes = plan_.tensors[tensor].Bytes();
  if (whole.data == nullptr || static_cast<int64_t>(whole.data->size()) < place.offset + bytes ||
      !whole.layout.IsIdentity()) {
    return PackageError(whole.name, "a constant without its data in the identity layout");
  }
  return absl::string_view(*whole.data).substr(place.offset, bytes);
}

StatusOr<hone_model_operand> PackageBuilder::OperandOf(int tensor) {
  const TensorPlace& place = memory_.tensors[tensor];
  hone_model_operand operand = {};
  operand.bytes = static_cast<uint64_t>(plan_.tensors[tensor].Bytes());
  operand.offset = static_cast<uint64_t>(place.offset);
  switch (place.place) {
    case Place::kArena:
      operand.place = HONE_PLACE_ARENA;
      break;
    case Place::kInput:
      operand.place = HONE_PLACE_INPUT;
      operand.index = static_cast<uint32_t>(place.index);
      break;
    case Place::kOutput:
      operand.place = HONE_PLACE_OUTPUT;
      operand.index = static_cast<uint32_t>(place.index);
      break;
    case Place::kConstant: {
      HONE_ASSIGN_OR_RETURN(const absl::string_view bytes, ConstantBytes(tensor));
      operand.place = HONE_PLACE_CONSTANT;
      operand.offset = writer_.AddBlob(std::string(bytes));
      break;
    }
  }
  return operand;
}

Status PackageBuilder::AddCall(const PlanCall& call) {
  const pb::Artifact& artifact = artifacts_[call.kernel];
  const pb::Manifest& manifest = artifact.manifest();
  const std::string& name = plan_.kernels[call.kernel].name;

  // The tensor of each buffer of the manifest; -1 for prepared ones, which the plan does not know.
  std::vector<int> tensors;
  std::vector<absl::string_view> constants(manifest.buffers_size());
  size_t next = 0;
  for (int i = 0; i < manifest.buffers_size(); ++i) {
    const pb::BufferInfo& buffer = manifest.buffers(i);
    if (buffer.role() == pb::BUFFER_ROLE_PREPARED) {
      tensors.push_back(-1);
      continue;
    }
    if (next == call.tensors.size()) return PackageError(name, "takes more tensors than its call");
    const int tensor = call.tensors[next++];
    const int64_t bytes = plan_.tensors[tensor].Bytes();
    if (BufferBytes(buffer) != bytes) {
      return PackageError(
          name, absl::StrCat("its buffer '", buffer.name(), "' has ", BufferBytes(buffer),
                             " bytes, the tensor '", plan_.tensors[tensor].name, "' has ", bytes));
    }
    if (buffer.role() == pb::BUFFER_ROLE_CONSTANT) {
      HONE_ASSIGN_OR_RETURN(constants[i], ConstantBytes(tensor));
    }
    const Place place = memory_.tensors[tensor].place;
    if (buffer.role() == pb::BUFFER_ROLE_OUTPUT && place != Place::kArena &&
        place != Place::kOutput) {
      return PackageError(name, absl::StrCat("writes '", plan_.tensors[tensor].name,
                                             "', which is an input or a constant"));
    }
    tensors.push_back(tensor);
  }
  if (next != call.tensors.size()) return PackageError(name, "takes fewer tensors than its call");

  HONE_ASSIGN_OR_RETURN(std::vector<std::string> prepared, PrepareConstants(artifact, constants));
  std::vector<hone_model_operand> operands;
  for (int i = 0; i < manifest.buffers_size(); ++i) {
    hone_model_operand operand = {};
    if (tensors[i] < 0) {
      operand.place = HONE_PLACE_CONSTANT;
      operand.bytes = prepared[i].size();
      operand.offset = writer_.AddBlob(std::move(prepared[i]));
    } else if (!manifest.buffers(i).prepare_only()) {
      HONE_ASSIGN_OR_RETURN(operand, OperandOf(tensors[i]));
    }
    operands.push_back(operand);
  }
  hone_model_instruction instruction = {};
  instruction.opcode = HONE_OP_CALL;
  instruction.kernel = static_cast<uint32_t>(call.kernel);
  instruction.name = writer_.AddString(call.node);
  if (manifest.params_size() != static_cast<int>(call.params.size())) {
    return PackageError(name, absl::StrCat("takes ", manifest.params_size(),
                                           " parameters, its call gives ", call.params.size()));
  }
  for (int i = 0; i < manifest.params_size(); ++i) {
    if (manifest.params(i).max() != call.params[i].top) {
      return PackageError(
          name, absl::StrCat("its parameter '", manifest.params(i).name(), "' goes up to ",
                             manifest.params(i).max(), ", its call's to ", call.params[i].top));
    }
    const uint32_t index = writer_.AddSize(SizeRecord(call.params[i]));
    if (instruction.size_count++ == 0) instruction.first_size = index;
  }
  writer_.AddInstruction(instruction, operands);
  return absl::OkStatus();
}

Status PackageBuilder::AddEverything() {
  for (const Param& param : plan_.params) {
    writer_.AddParam({.name = writer_.AddString(param.name), .min = param.min, .max = param.max});
  }
  for (const int tensor : plan_.inputs) {
    HONE_ASSIGN_OR_RETURN(const hone_model_tensor input, DescribeTensor(tensor));
    writer_.AddInput(input);
  }
  for (const int tensor : plan_.outputs) {
    HONE_ASSIGN_OR_RETURN(const hone_model_tensor output, DescribeTensor(tensor));
    writer_.AddOutput(output);
  }
  for (size_t i = 0; i < plan_.kernels.size(); ++i) {
    HONE_RETURN_IF_ERROR(AddKernel(static_cast<int>(i)));
  }
  for (const PlanCall& call : plan_.calls) HONE_RETURN_IF_ERROR(AddCall(call));
  for (const OutputCopy& copy : memory_.copies) {
    const PlanTensor& tensor = plan_.tensors[copy.tensor];
    HONE_ASSIGN_OR_RETURN(hone_model_operand from, OperandOf(copy.tensor));
    hone_model_operand to = {};
    to.place = HONE_PLACE_OUTPUT;
    to.index = static_cast<uint32_t>(copy.output);
    to.bytes = from.bytes;
    hone_model_instruction instruction = {};
    instruction.opcode = HONE_OP_COPY;
    instruction.name = writer_.AddString(tensor.name);
    writer_.AddInstruction(instruction, {to, from});
  }
  return absl::OkStatus();
}

std::string PackageBuilder::Finish(const Target& target) {
  hone_model_header header = {};
  header.name = writer_.AddString(plan_.name);
  header.target = writer_.AddString(target.ToString());
  header.cpu_features = writer_.AddString(absl::StrJoin(FeaturesUsed(target), ","));
  header.arena_bytes = static_cast<uint64_t>(memory_.arena_bytes);
  header.thread_count = static_cast<uint32_t>(target.threads);
  return writer_.Finish(header);
}

}  // namespace

StatusOr<std::string> BuildPackage(const ModelPlan& plan,
                                   const std::vector<pb::Artifact>& artifacts,
                                   const Target& target) {
  if (artifacts.size() != plan.kernels.size()) {
    return PackageError(plan.name, absl::StrCat(plan.kernels.size(), " kernels, but ",
                                                artifacts.size(), " artifacts"));
  }
  HONE_ASSIGN_OR_RETURN(const MemoryPlan memory, PlanMemory(plan));
  PackageBuilder builder(plan, artifacts, memory);
  HONE_RETURN_IF_ERROR(builder.AddEverything());
  return MakeSharedObject(
      builder.Finish(target),
      {.arch = target.arch, .symbol = HONE_MODEL_SYMBOL, .segment_type = HONE_MODEL_SEGMENT});
}

}  // namespace hone
