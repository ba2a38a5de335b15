#include "compiler/codegen/llvm_target.h"

#include <algorithm>
#include <mutex>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"

namespace hone {
namespace {

// LLVM's table of targets is process-wide and filled once.
void RegisterTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    LLVMInitializeX86Disassembler();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeAArch64AsmParser();
    LLVMInitializeAArch64Disassembler();
    LLVMInitializeARMTargetInfo();
    LLVMInitializeARMTarget();
    LLVMInitializeARMTargetMC();
    LLVMInitializeARMAsmPrinter();
    LLVMInitializeARMAsmParser();
    LLVMInitializeARMDisassembler();
  });
}

bool IsArm32(const Target& target) { return absl::StartsWith(target.arch, "armv7"); }

std::string Triple(const Target& target) {
  if (target.arch == "x86_64") return "x86_64-unknown-linux-gnu";
  if (target.arch == "aarch64") return "aarch64-unknown-linux-gnu";
  if (IsArm32(target)) return "armv7-unknown-linux-gnueabihf";
  return "";
}

// The core whose instructions may be used; what goes beyond it is in the features.
std::string BaseCpu(const Target& target) { return target.arch == "x86_64" ? "x86-64" : "generic"; }

std::string Features(const Target& target) {
  std::string features;
  for (const std::string& feature : target.features) {
    absl::StrAppend(&features, features.empty() ? "+" : ",+", feature);
  }
  return features;
}

// LLVM itself would complain on stderr of a feature that it does not know, and go on without.
Status CheckFeatures(const Target& target, const llvm::Target& llvm_target,
                     const std::string& triple) {
  const std::unique_ptr<llvm::MCSubtargetInfo> info(
      llvm_target.createMCSubtargetInfo(triple, BaseCpu(target), ""));
  const llvm::ArrayRef<llvm::SubtargetFeatureKV> known = info->getAllProcessorFeatures();
  for (const std::string& feature : target.features) {
    const bool is_known = std::any_of(known.begin(), known.end(),
                                      [&](const auto& one) { return feature == one.Key; });
    if (is_known) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("code generation: '", feature, "' is no feature of ", target.arch,
                     "; 'hone-agent --probe' prints those of a machine"));
  }
  return absl::OkStatus();
}

}  // namespace

NativeOps NativeOpsOf(const Target& target) {
  if (target.arch == "aarch64")
    return {.fma = true, .half = true, .rounding = true, .division64 = true};
  if (IsArm32(target)) {
    return {.fma = target.HasFeature("vfp4"), .half = target.HasFeature("fp16")};
  }
  const bool avx512 = target.HasFeature("avx512f");
  return {.fma = target.HasFeature("fma") || avx512,
          .half = target.HasFeature("f16c") || avx512,
          .bf16 = target.HasFeature("avx512bf16") && target.HasFeature("avx512vl"),
          .rounding = target.HasFeature("sse4.1") || target.HasFeature("avx") || avx512,
          .rounded_cast = true,
          .saturating_bytes = avx512 && target.HasFeature("avx512vl"),
          .division64 = true,
          .pmaddwd_bits = target.HasFeature("avx512bw") ? 512
                          : target.HasFeature("avx2")   ? 256
                                                        : 128,
          .vnni_bits = target.HasFeature("avx512vnni") ? 512 : 256,
          .multiply_add_bytes = avx512 ? 64 : (target.HasFeature("fma") ? 32 : 0)};
}

StatusOr<std::unique_ptr<llvm::TargetMachine>> MakeTargetMachine(const Target& target) {
  RegisterTargets();
  const std::string triple = Triple(target);
  if (triple.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("code generation: no code generator for architecture '", target.arch,
                     "'; this build makes code for x86_64, aarch64 and armv7l"));
  }
  std::string error;
  const llvm::Target* llvm_target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (llvm_target == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("code generation: ", error));
  }
  HONE_RETURN_IF_ERROR(CheckFeatures(target, *llvm_target, triple));
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  if (IsArm32(target)) options.FloatABIType = llvm::FloatABI::Hard;
  return std::unique_ptr<llvm::TargetMachine>(llvm_target->createTargetMachine(
      triple, BaseCpu(target), Features(target), options, llvm::Reloc::PIC_, llvm::CodeModel::Small,
      llvm::CodeGenOptLevel::Less));
}

void AddTargetAttributes(const Target& target, llvm::Function& function) {
  function.addFnAttr("target-cpu", BaseCpu(target));
  function.addFnAttr("target-features", Features(target));
  // A core that LLVM does not know would make it complain on stderr: it is a hint, so leave it.
  std::string error;
  const llvm::Target* llvm_target = llvm::TargetRegistry::lookupTarget(Triple(target), error);
  if (llvm_target != nullptr) {
    std::unique_ptr<llvm::MCSubtargetInfo> info(
        llvm_target->createMCSubtargetInfo(Triple(target), BaseCpu(target), ""));
    if (info != nullptr && info->isCPUStringValid(target.cpu)) {
      function.addFnAttr("tune-cpu", target.cpu);
    }
  }
  // Without these two, LLVM may split 512-bit vectors into two halves.
  const std::string bits = absl::StrCat(target.VectorBits());
  function.addFnAttr("prefer-vector-width", bits);
  function.addFnAttr("min-legal-vector-width", bits);
  function.addFnAttr("no-builtins");
  function.addFnAttr(llvm::Attribute::NoUnwind);
}

}  // namespace hone
