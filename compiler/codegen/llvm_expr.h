// Expressions and memory accesses as LLVM values. Statement emission drives it, telling it where
// loops and branches begin and end, so that what does not vary inside is computed before them and
// equal addresses are computed once.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compiler/codegen/index_form.h"
#include "compiler/codegen/llvm_registers.h"
#include "compiler/codegen/llvm_target.h"
#include "compiler/codegen/rounded_cast.h"
#include "llvm/IR/IRBuilder.h"

namespace hone {

// A buffer in memory, as code sees it.
struct MemoryBuffer {
  llvm::Value* pointer = nullptr;  // aligned to HONE_ALIGNMENT
  DType dtype = DType::kF32;
  bool read_only = false;  // nothing writes it while this function runs
};

class ExprEmitter {
 public:
  // All must outlive the emitter. The builder stands in the function's entry block.
  ExprEmitter(llvm::IRBuilder<>& builder, const NativeOps& native, RegisterFile& registers)
      : builder_(builder), native_(native), registers_(registers) {
    regions_.push_back({});
  }

  // Names, from here to the end of the region.
  void BindValue(absl::string_view name, llvm::Value* value);
  void BindBuffer(absl::string_view name, const MemoryBuffer& buffer);

  // A region is the body of a loop or a branch. `entry` is the branch instruction that leads to it;
  // what is invariant in the region is put before it.
  void EnterRegion(llvm::Instruction* entry) { regions_.push_back({entry, {}}); }
  void LeaveRegion() { regions_.pop_back(); }

  // Before each statement: memory may have changed, so nothing loaded before is used again.
  void BeginStatement() { statement_memo_.clear(); }

  llvm::Value* Emit(const Expr& e) { return Emit(e, nullptr); }
  void EmitStore(absl::string_view buffer, const Expr& index, llvm::Value* value, Type type);
  void EmitPrefetch(absl::string_view buffer, const Expr& index);
  // What a buffer in memory has elements of.
  DType MemoryDType(absl::string_view buffer);
  // Where an element lies; null, after a failure, for a buffer that is not in memory. With
  // `is_stored` what was loaded before is not used again.
  llvm::Value* EmitPointer(absl::string_view buffer, const Expr& index, bool is_stored);

  // Where an element of a buffer in memory is; `index` reads no memory. Nullopt, and a failure, if
  // there is no such buffer.
  struct Place {
    llvm::Value* base = nullptr;
    int64_t bytes = 0;  // from the base
  };
  std::optional<Place> PlaceOf(absl::string_view buffer, const Expr& index);

  // So many stores to registers were emitted by other means.
  void CountRegisterStores(int count) { register_stores_ += count; }

  // The first thing that could not be emitted; the values given out since then mean nothing.
  const Status& status() const { return status_; }
  void Fail(absl::string_view message);

 private:
  struct Region {
    llvm::Instruction* entry = nullptr;
    std::map<std::string, llvm::Value*> memo;
  };
  struct Binding {
    llvm::Value* value = nullptr;
    int depth = 0;
  };
  struct Address {
    llvm::Value* base = nullptr;
    int64_t offset = 0;  // in elements from the base
    llvm::Align align;
    std::string key;  // equal for equal bases
  };
  // An address that was loaded in the current block, how often, and when last.
  struct EarlierLoad {
    llvm::Value* buffer = nullptr;
    llvm::Value* value = nullptr;  // null once the buffer may have changed
    int register_stores = 0;       // before it, in the function
    int count = 0;
  };
  // A maximum or minimum of two values that are not constant, as the start of a chain of them.
  struct Extreme {
    BinaryOp op = BinaryOp::kMax;
    llvm::Value* plain = nullptr;      // NaN where the second operand is, whatever the first is
    llvm::Value* unchecked = nullptr;  // the first operand
  };

  int CurrentDepth() const { return static_cast<int>(regions_.size()) - 1; }
  int DepthOf(const Expr& e) const;

  // Runs `emit` with the builder before the innermost region that is deeper than `depth`.
  template <typename EmitFn>
  llvm::Value* EmitAtDepth(int depth, const EmitFn& emit);

  // `guard` (null, i1 or a vector of i1) is where memory may be read.
  llvm::Value* Emit(const Expr& e, llvm::Value* guard);
  llvm::Value* EmitNode(const Expr& e, llvm::Value* guard);
  llvm::Value* EmitRoundedCast(const RoundedCast& cast, Type type, llvm::Value* guard);
  llvm::Value* EmitUnary(const Expr& e, llvm::Value* guard);
  llvm::Value* EmitBinary(const Expr& e, llvm::Value* guard);
  llvm::Value* EmitFloatExtreme(BinaryOp op, llvm::Value* a, llvm::Value* b);
  llvm::Value* EmitFloatBinary(BinaryOp op, llvm::Value* a, llvm::Value* b);
  llvm::Value* EmitIntBinary(BinaryOp op, llvm::Value* a, llvm::Value* b, DType dtype);
  llvm::Value* EmitDivision(BinaryOp op, llvm::Value* a, llvm::Value* b, DType dtype);
  // Of a scalar by a positive constant.
  llvm::Value* EmitFloorDivision(llvm::Value* a, const llvm::APInt& divisor);
  llvm::Value* EmitSelect(const Expr& e, llvm::Value* guard);
  llvm::Value* EmitRamp(const Expr& e, llvm::Value* guard);
  llvm::Value* EmitLookup(const Expr& e);
  llvm::Value* EmitLoad(const Expr& e, llvm::Value* guard);
  llvm::Value* EmitGather(const Expr& e, const MemoryBuffer& buffer, llvm::Value* guard);
  // The load itself. A scalar guard chooses between the address and zeros, a vector guard masks.
  llvm::Value* LoadFrom(const MemoryBuffer& buffer, const Address& address, int lanes,
                        llvm::Value* guard);
  // The same without a guard, with an eye on loads that repeat one of the block.
  llvm::Value* LoadTracked(const MemoryBuffer& buffer, Address address, int lanes);
  // What was loaded of the buffer before is not used again.
  void Forget(const MemoryBuffer& buffer);

  // Adds a scalar guard and a vector guard and the like.
  llvm::Value* AndGuards(llvm::Value* a, llvm::Value* b);
  // A place that can always be read, for loads whose guard is false.
  llvm::Value* Zeros();

  const MemoryBuffer* FindMemory(absl::string_view buffer);
  // Of element `lane` after `index`. `guard` is for loads in the index.
  Address AddressOf(const MemoryBuffer& buffer, const std::string& name, const Expr& index,
                    int64_t lane, llvm::Value* guard);
  const IndexForm& FormOf(const Expr& index);
  llvm::Value* BasePointer(const MemoryBuffer& buffer, const std::string& name,
                           const IndexForm& form, llvm::Value* guard);
  llvm::Value* PointerTo(const MemoryBuffer& buffer, const Address& address);
  llvm::Value* OpaqueCopy(llvm::Value* pointer);
  // The addresses of the elements of a vector access that is not a ramp of stride 1.
  std::vector<Address> LaneAddresses(const MemoryBuffer& buffer, const std::string& name,
                                     const Expr& index, llvm::Value* guard);

  llvm::IRBuilder<>& builder_;
  const NativeOps& native_;
  RegisterFile& registers_;
  std::vector<Region> regions_;
  std::map<std::string, Binding> values_;
  std::map<std::string, MemoryBuffer> buffers_;
  std::map<std::pair<const ExprNode*, llvm::Value*>, llvm::Value*> statement_memo_;
  // Of indices, which this keeps alive.
  std::map<const ExprNode*, std::pair<Expr, IndexForm>> forms_;
  // By address and lanes.
  std::map<std::string, EarlierLoad> block_loads_;
  llvm::BasicBlock* block_loads_of_ = nullptr;
  int register_stores_ = 0;
  std::map<llvm::Value*, Extreme> extremes_;
  Status status_;
};

}  // namespace hone
