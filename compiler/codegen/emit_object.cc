// Where LLVM's time goes is fixed costs: some 130 passes look at every function, most for what our
// programs never have. And instruction selection at any level but "none" asks costly questions of
// every address. Generated programs are written out as they are meant, so both can go: on x86-64,
// what is left takes two thirds of the time and makes the same instructions in the loops that
// count.
#include "compiler/codegen/emit_object.h"

#include <algorithm>
#include <memory>
#include <mutex>

#include "absl/strings/string_view.h"
#include "compiler/codegen/llvm_process.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/CodeGen/MachineFunctionPass.h"
#include "llvm/CodeGen/MachineModuleInfo.h"
#include "llvm/CodeGen/Passes.h"
#include "llvm/CodeGen/TargetPassConfig.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/Support/raw_ostream.h"

namespace hone {
namespace {

// For what generated programs never have: exceptions, collected memory, thread-local storage,
// atomics, computed branches, integers beyond 64 bits, calls but from an entry to its work, stack
// arrays, debug information, AMX values, instrumentation, defences against hostile neighbours.
constexpr absl::string_view kForOtherPrograms[] = {
    "Analyze Machine Code For Garbage Collection",
    "Check CFA info and insert CFI instructions if needed",
    "Contiguously Lay Out Funclets",
    "Exception handling preparation",
    "Expand Atomic instructions",
    "Expand indirectbr instructions",
    "Expand large div/rem",
    "Expand large fp convert",
    "Expand memcmp() to load/stores",
    "Expand vector predication intrinsics",
    "Fixup Statepoint Caller Saved",
    "Implement the 'patchable-function' attribute",
    "Insert KCFI indirect call checks",
    "Insert XRay ops",
    "Insert fentry calls",
    "Insert stack protectors",
    "Instrument function entry/exit with calls to e.g. mcount() (post inlining)",
    "Live DEBUG_VALUE analysis",
    "Lower AMX intrinsics",
    "Lower AMX type for load/store",
    "Lower Garbage Collection Instructions",
    "Machine Sanitizer Binary Metadata",
    "Merge contiguous icmps into a memcmp",
    "Merge disjoint stack slots",
    "Partially inline calls to library functions",
    "Prepare callbr",
    "Pseudo Probe Inserter",
    "Register Allocation Pass Scoring",
    "Remove Redundant DEBUG_VALUE analysis",
    "Safe Stack instrumentation pass",
    "Shadow Stack GC Lowering",
    "Stack Frame Layout Analysis",
    "StackMap Liveness Analysis",
    "TLS Variable Hoist",
    "Tile Register Configure",
    "Tile Register Pre-configure",
    "X86 Avoid Store Forwarding Blocks",
    "X86 Discriminate Memory Operands",
    "X86 DynAlloca Expander",
    "X86 Indirect Branch Tracking",
    "X86 Indirect Thunks",
    "X86 Insert Cache Prefetches",
    "X86 Load Value Injection (LVI) Load Hardening",
    "X86 Load Value Injection (LVI) Ret-Hardening",
    "X86 Lower Tile Copy",
    "X86 PIC Global Base Reg Initialization",
    "X86 Return Thunks",
    "X86 Speculative Execution Side Effect Suppression",
    "X86 Windows Fixup Buffer Security Check",
    "X86 insert wait instruction",
    "X86 speculative load hardening",
};

// Improvements that were found to change nothing, or nothing but code outside of loops: there are
// no branches to rearrange and no address arithmetic to share that was not shared already.
constexpr absl::string_view kFindNothing[] = {
    // More time than all others together.
    "Loop Strength Reduction",
    "Argument Stack Rebase",
    "Early If-Conversion",
    "Early Tail Duplication",
    "Local Stack Slot Allocation",
    // It reassociates sums of integers into trees, whose values no longer fit the registers.
    "Machine InstCombiner",
    "Machine Late Instructions Cleanup Pass",
    "Optimize machine instruction PHIs",
    "PostRA Machine Sink",
    "Remove unreachable blocks from the CFG",
    "Remove unreachable machine basic blocks",
    "Shrink Wrapping analysis",
    "Tail Duplication",
    "X86 Atom pad short functions",
    "X86 Byte/Word Instruction Fixup",
    "X86 Domain Reassignment Pass",
    "X86 Fixup Vector Constants",
    "X86 LEA Optimize",
    "X86 cmov Conversion",
};

bool IsLeftOut(absl::string_view pass) {
  auto holds = [&](const auto& names) {
    return std::find(std::begin(names), std::end(names), pass) != std::end(names);
  };
  return holds(kForOtherPrograms) || holds(kFindNothing);
}

class ShortPassManager : public llvm::legacy::PassManager {
 public:
  void add(llvm::Pass* pass) override {
    const llvm::StringRef name = pass->getPassName();
    if (IsLeftOut({name.data(), name.size()})) {
      delete pass;
    } else {
      PassManager::add(pass);
    }
  }
};

// Says that loops run often, which is what register allocation and alignment go by. Instruction
// selection at level "none" leaves all branches even. Blocks are generated in this order: the first
// of a loop, the one after the loop, all within; so a branch back goes to the earlier of its two.
class ExpectLoops : public llvm::MachineFunctionPass {
 public:
  ExpectLoops() : MachineFunctionPass(id) {}
  llvm::StringRef getPassName() const override { return "Expect loops to run often"; }
  void getAnalysisUsage(llvm::AnalysisUsage& usage) const override {
    usage.setPreservesCFG();
    MachineFunctionPass::getAnalysisUsage(usage);
  }
  bool runOnMachineFunction(llvm::MachineFunction& function) override {
    for (llvm::MachineBasicBlock& block : function) {
      if (block.succ_size() != 2) continue;
      llvm::MachineBasicBlock* next[] = {*block.succ_begin(), *std::next(block.succ_begin())};
      const int back = next[0]->getNumber() < next[1]->getNumber() ? 0 : 1;
      if (next[back]->getNumber() > block.getNumber()) continue;
      // Without probabilities so far, so they cannot be set but with new edges.
      for (llvm::MachineBasicBlock* edge : next) block.removeSuccessor(edge);
      for (int i = 0; i < 2; ++i) {
        block.addSuccessor(next[i], llvm::BranchProbability(i == back ? 31 : 1, 32));
      }
    }
    return true;
  }

 private:
  static char id;
};
char ExpectLoops::id = 0;

}  // namespace

StatusOr<std::string> EmitObject(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  ShortPassManager passes;
  {
    const std::lock_guard<std::mutex> lock(LlvmProcessMutex());
    // What addPassesToEmitFile does, with a level of its own for instruction selection.
    auto& generator = static_cast<llvm::LLVMTargetMachine&>(machine);
    auto* modules = new llvm::MachineModuleInfoWrapperPass(&generator);
    const llvm::CodeGenOptLevel level = machine.getOptLevel();
    const bool quick = machine.getTargetTriple().isX86();
    machine.setO0WantsFastISel(false);
    if (quick) machine.setOptLevel(llvm::CodeGenOptLevel::None);
    llvm::TargetPassConfig* config = generator.createPassConfig(passes);
    config->setDisableVerify(true);
    passes.add(config);
    passes.add(modules);
    const bool refused = config->addISelPasses();
    machine.setOptLevel(level);
    if (quick) passes.add(new ExpectLoops);
    if (!refused) config->addMachinePasses();
    config->setInitialized();
    if (refused ||
        generator.addAsmPrinter(passes, stream, nullptr, llvm::CodeGenFileType::ObjectFile,
                                modules->getMMI().getContext())) {
      return absl::InternalError("code generation: LLVM cannot emit objects for this target");
    }
    passes.add(llvm::createFreeMachineFunctionPass());
  }
  passes.run(module);
  return std::string(bytes.data(), bytes.size());
}

}  // namespace hone
