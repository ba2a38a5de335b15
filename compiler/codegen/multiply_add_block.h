// The inside of a micro-kernel, a long run of vector loads and multiply-adds on accumulators, as
// one piece of assembly. Statement emission looks for such runs and puts all else through LLVM's
// instruction selection, which takes ten times as long for the same instructions. It never decides
// which registers hold what: the assembly names operands, and LLVM allocates them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "compiler/codegen/llvm_expr.h"
#include "compiler/codegen/llvm_registers.h"
#include "compiler/ir/stmt.h"
#include "llvm/IR/IRBuilder.h"

namespace hone {

class MultiplyAddBlock {
 public:
  // The run that begins at statement `begin` of a block.
  static MultiplyAddBlock Find(const std::vector<Stmt>& statements, size_t begin,
                               const NativeOps& native, const RegisterFile& registers);

  // How many statements it takes; 0 where the first is not of its kind.
  size_t size() const { return steps_.size(); }
  // Whether it is long enough, and within the target's registers.
  bool IsWorthIt() const { return worth_it_; }

  // For one that is worth it. Returns how many statements it emitted: not all where the addresses
  // are too many for one piece of assembly, 0 where they are too far apart.
  size_t Emit(llvm::IRBuilder<>& builder, ExprEmitter& exprs, RegisterFile& registers) const;

 private:
  enum class Kind { kLoad, kSplat, kPrefetch, kMultiplyAdd };
  struct Step {
    Kind kind;
    std::string buffer;   // of loads, splats and prefetches
    Expr index;           // the first element
    int factors[2] = {};  // of a multiply-add: the steps that made them
    int unit = 0;         // of a multiply-add: the register that it adds to
    int uses = 0;         // of a load or splat
    int last_use = 0;
  };

  bool ReadLet(const Stmt& s, std::map<std::string, int>* values);
  bool ReadStore(const Stmt& s, const RegisterFile& registers,
                 const std::map<std::string, int>& values);
  bool TakeLanes(int lanes, const NativeOps& native);
  // Whether the step is an operand in memory of the one instruction that uses it.
  bool IsFolded(int step, const Step& user) const;
  // The first `steps` steps, or the most of them before them that leave no value to those behind.
  MultiplyAddBlock Head(size_t steps) const;
  // Counts the uses of values and finds the accumulators; returns the number of multiply-adds.
  int CountUses();
  // Gives each loaded value a temporary register (by step, -1 where it needs none).
  int AssignTemporaries(std::vector<int>* temporaries) const;
  int RegisterCount() const;

  bool worth_it_ = false;
  int lanes_ = 0;
  std::vector<Step> steps_;
  std::vector<int> units_;  // accumulators, in order of first use
};

}  // namespace hone
