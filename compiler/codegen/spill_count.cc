// A loop is what lies between a branch and an earlier target of it. Generated functions have no
// stack arrays and pass no vectors, so any vector access relative to the stack pointer is a spill.
#include "compiler/codegen/spill_count.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "llvm/MC/MCAsmInfo.h"
#include "llvm/MC/MCContext.h"
#include "llvm/MC/MCDisassembler/MCDisassembler.h"
#include "llvm/MC/MCInst.h"
#include "llvm/MC/MCInstPrinter.h"
#include "llvm/MC/MCInstrAnalysis.h"
#include "llvm/MC/MCInstrInfo.h"
#include "llvm/MC/MCRegisterInfo.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/raw_ostream.h"

namespace hone {
namespace {

struct Instruction {
  uint64_t address = 0;
  uint64_t size = 0;
  llvm::MCInst inst;
};

// Everything that reading machine code of one target takes.
class Reader {
 public:
  explicit Reader(const llvm::TargetMachine& machine)
      : machine_(machine),
        context_(machine.getTargetTriple(), machine.getMCAsmInfo(), machine.getMCRegisterInfo(),
                 machine.getMCSubtargetInfo()) {
    disassembler_.reset(
        machine.getTarget().createMCDisassembler(*machine.getMCSubtargetInfo(), context_));
    analysis_.reset(machine.getTarget().createMCInstrAnalysis(machine.getMCInstrInfo()));
  }

  std::vector<Instruction> Read(llvm::StringRef code) const {
    std::vector<Instruction> instructions;
    const llvm::ArrayRef<uint8_t> bytes(reinterpret_cast<const uint8_t*>(code.data()), code.size());
    for (uint64_t at = 0; at < bytes.size();) {
      Instruction instruction;
      instruction.address = at;
      const auto result = disassembler_->getInstruction(instruction.inst, instruction.size,
                                                        bytes.slice(at), at, llvm::nulls());
      // Constants between functions (ARM) are not instructions.
      if (result == llvm::MCDisassembler::Fail) {
        at += std::max<uint64_t>(1, instruction.size);
        continue;
      }
      at += instruction.size;
      instructions.push_back(std::move(instruction));
    }
    return instructions;
  }

  // Address ranges of loops: from a branch's target to the branch.
  std::vector<std::pair<uint64_t, uint64_t>> Loops(
      const std::vector<Instruction>& instructions) const {
    std::vector<std::pair<uint64_t, uint64_t>> loops;
    for (const Instruction& i : instructions) {
      const llvm::MCInstrDesc& desc = machine_.getMCInstrInfo()->get(i.inst.getOpcode());
      uint64_t target = 0;
      if (desc.isBranch() && analysis_->evaluateBranch(i.inst, i.address, i.size, target) &&
          target <= i.address) {
        loops.emplace_back(target, i.address);
      }
    }
    return loops;
  }

  bool IsSpill(const llvm::MCInst& inst) const {
    bool stack = false;
    bool vector = false;
    for (const llvm::MCOperand& operand : inst) {
      if (!operand.isReg() || operand.getReg() == 0) continue;
      const llvm::StringRef name = machine_.getMCRegisterInfo()->getName(operand.getReg());
      stack |= name == "RSP" || name == "SP";
      vector |= name.starts_with("TMM") || name.starts_with("XMM") || name.starts_with("YMM") ||
                name.starts_with("ZMM") ||
                (!machine_.getTargetTriple().isX86() && name.size() >= 2 &&
                 (name[0] == 'Q' || name[0] == 'D' || name[0] == 'S') && isdigit(name[1]));
    }
    return stack && vector;
  }

 private:
  const llvm::TargetMachine& machine_;
  llvm::MCContext context_;
  std::unique_ptr<llvm::MCDisassembler> disassembler_;
  std::unique_ptr<llvm::MCInstrAnalysis> analysis_;
};

StatusOr<std::unique_ptr<llvm::object::ObjectFile>> Open(absl::string_view object) {
  auto file = llvm::object::ObjectFile::createObjectFile(
      {llvm::StringRef(object.data(), object.size()), "kernel object"});
  if (file) return std::move(*file);
  return absl::InvalidArgumentError(
      absl::StrCat("kernel object: ", llvm::toString(file.takeError())));
}

}  // namespace

StatusOr<int> CountSpills(absl::string_view object, const llvm::TargetMachine& machine) {
  HONE_ASSIGN_OR_RETURN(auto file, Open(object));
  const Reader reader(machine);
  int spills = 0;
  for (const llvm::object::SectionRef& section : file->sections()) {
    if (!section.isText()) continue;
    const std::vector<Instruction> instructions =
        reader.Read(llvm::cantFail(section.getContents()));
    const auto loops = reader.Loops(instructions);
    for (const Instruction& i : instructions) {
      const bool in_loop = std::any_of(loops.begin(), loops.end(), [&](const auto& loop) {
        return loop.first <= i.address && i.address <= loop.second;
      });
      if (in_loop && reader.IsSpill(i.inst)) ++spills;
    }
  }
  return spills;
}

StatusOr<std::string> Disassemble(absl::string_view object, const llvm::TargetMachine& machine) {
  HONE_ASSIGN_OR_RETURN(auto file, Open(object));
  const Reader reader(machine);
  std::unique_ptr<llvm::MCInstPrinter> printer(machine.getTarget().createMCInstPrinter(
      machine.getTargetTriple(), machine.getMCAsmInfo()->getAssemblerDialect(),
      *machine.getMCAsmInfo(), *machine.getMCInstrInfo(), *machine.getMCRegisterInfo()));
  printer->setPrintBranchImmAsAddress(true);
  std::string text;
  llvm::raw_string_ostream stream(text);
  for (const llvm::object::SectionRef& section : file->sections()) {
    if (!section.isText()) continue;
    std::vector<std::pair<uint64_t, std::string>> names;
    for (const llvm::object::SymbolRef& symbol : file->symbols()) {
      if (llvm::cantFail(symbol.getSection()) == section) {
        names.emplace_back(llvm::cantFail(symbol.getAddress()),
                           llvm::cantFail(symbol.getName()).str());
      }
    }
    for (const Instruction& i : reader.Read(llvm::cantFail(section.getContents()))) {
      for (const auto& [address, name] : names) {
        if (address == i.address && !name.empty()) stream << name << ":\n";
      }
      stream << llvm::format("%5llx", static_cast<unsigned long long>(i.address));
      printer->printInst(&i.inst, i.address, "", *machine.getMCSubtargetInfo(), stream);
      stream << "\n";
    }
  }
  stream.flush();
  return text;
}

}  // namespace hone
