#include "compiler/codegen/code_generator.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "compiler/codegen/emit_object.h"
#include "compiler/codegen/link_object.h"
#include "compiler/codegen/llvm_module.h"
#include "compiler/codegen/llvm_target.h"
#include "compiler/codegen/scratch_plan.h"
#include "compiler/codegen/spill_count.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Verifier.h"
#include "llvm/Support/raw_ostream.h"

namespace hone {
namespace {

constexpr uint32_t kAbiVersion = 1;

pb::BufferRole RoleOf(BufferRole role) {
  switch (role) {
    case BufferRole::kInput:
      return pb::BUFFER_ROLE_INPUT;
    case BufferRole::kConstant:
      return pb::BUFFER_ROLE_CONSTANT;
    case BufferRole::kPrepared:
      return pb::BUFFER_ROLE_PREPARED;
    case BufferRole::kOutput:
      return pb::BUFFER_ROLE_OUTPUT;
    case BufferRole::kNone:
      break;
  }
  return pb::BUFFER_ROLE_UNSPECIFIED;
}

// Whether the statement reads or prefetches from the buffer.
bool Reads(const Stmt& s, const std::string& buffer) {
  bool reads = false;
  Visit(
      s,
      [&](const Stmt& part) {
        reads |= part.kind() == StmtKind::kPrefetch && part->name == buffer;
        reads |= part.kind() == StmtKind::kTile && part->source == buffer;
      },
      [&](const Expr& whole) { reads = reads || LoadsFrom(whole, buffer); });
  return reads;
}

bool UsesTiles(const Program& program) {
  bool uses = false;
  for (const Stmt& function : {program.prepare, program.run}) {
    if (!function) continue;
    Visit(function, [&](const Stmt& s) { uses |= s.kind() == StmtKind::kTile; });
  }
  return uses;
}

StatusOr<pb::Manifest> MakeManifest(const Program& program, const Target& target,
                                    const ScratchPlan& scratch) {
  pb::Manifest manifest;
  manifest.set_abi_version(kAbiVersion);
  manifest.set_target(target.ToString());
  for (const Buffer& buffer : program.buffers) {
    pb::BufferInfo& info = *manifest.add_buffers();
    info.set_name(buffer.name);
    info.set_dtype(std::string(DTypeName(buffer.dtype)));
    info.set_role(RoleOf(buffer.role));
    info.set_prepare_only(buffer.role == BufferRole::kConstant && program.prepare &&
                          !Reads(program.run, buffer.name));
    for (const Expr& extent : buffer.shape) {
      auto top = MaxElements({extent}, program.params);
      if (!top.ok()) {
        return absl::InvalidArgumentError(
            absl::StrCat("buffer '", buffer.name, "': ", top.status().message()));
      }
      pb::Extent& out = *info.add_shape();
      out.set_value(*top);
      if (extent.kind() == ExprKind::kVar) out.set_param(extent->name);
    }
  }
  for (const Param& param : program.params) {
    pb::ParamInfo& info = *manifest.add_params();
    info.set_name(param.name);
    info.set_min(param.min);
    info.set_max(param.max);
  }
  manifest.set_scratch_shared_bytes(scratch.shared_bytes);
  manifest.set_scratch_worker_bytes(scratch.worker_bytes);
  manifest.set_has_prepare(static_cast<bool>(program.prepare));
  manifest.set_needs_tiles(UsesTiles(program));
  return manifest;
}

}  // namespace

StatusOr<pb::Artifact> GenerateCode(const Program& program, const Target& target) {
  HONE_ASSIGN_OR_RETURN(const ScratchPlan scratch, PlanScratch(program));
  HONE_ASSIGN_OR_RETURN(pb::Manifest manifest, MakeManifest(program, target, scratch));
  HONE_ASSIGN_OR_RETURN(const auto machine, MakeTargetMachine(target));
  llvm::LLVMContext context;
  HONE_ASSIGN_OR_RETURN(const auto module, MakeModule(program, target, scratch, *machine, context));
  HONE_ASSIGN_OR_RETURN(const std::string object, EmitObject(*module, *machine));
  pb::Artifact artifact;
  HONE_ASSIGN_OR_RETURN(const int spills, CountSpills(object, *machine));
  HONE_ASSIGN_OR_RETURN(std::string code, LinkObject(object));
  *artifact.mutable_manifest() = std::move(manifest);
  artifact.set_code(std::move(code));
  artifact.set_spill_count(spills);
  return artifact;
}

StatusOr<std::string> GenerateAssembly(const Program& program, const Target& target) {
  HONE_ASSIGN_OR_RETURN(const ScratchPlan scratch, PlanScratch(program));
  HONE_ASSIGN_OR_RETURN(const auto machine, MakeTargetMachine(target));
  llvm::LLVMContext context;
  HONE_ASSIGN_OR_RETURN(const auto module, MakeModule(program, target, scratch, *machine, context));
  HONE_ASSIGN_OR_RETURN(const std::string object, EmitObject(*module, *machine));
  return Disassemble(object, *machine);
}

StatusOr<std::string> GenerateLlvmIr(const Program& program, const Target& target) {
  HONE_ASSIGN_OR_RETURN(const ScratchPlan scratch, PlanScratch(program));
  HONE_ASSIGN_OR_RETURN(const auto machine, MakeTargetMachine(target));
  llvm::LLVMContext context;
  HONE_ASSIGN_OR_RETURN(const auto module, MakeModule(program, target, scratch, *machine, context));
  std::string text;
  llvm::raw_string_ostream stream(text);
  module->print(stream, nullptr);
  std::string errors;
  llvm::raw_string_ostream error_stream(errors);
  if (llvm::verifyModule(*module, &error_stream)) {
    return absl::InternalError(absl::StrCat("LLVM refuses the module: ", errors, "\n", text));
  }
  return text;
}

}  // namespace hone
