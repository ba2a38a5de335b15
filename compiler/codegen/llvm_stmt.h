// Statements as LLVM basic blocks: loops, branches, and the register units that pass through them.
// One emitter a function; parallel loops are handed to whoever made it.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "compiler/codegen/llvm_expr.h"
#include "compiler/codegen/llvm_registers.h"
#include "compiler/ir/stmt.h"

namespace hone {

class StmtEmitter {
 public:
  // Emits the call that runs a parallel loop of `count` iterations.
  using ParallelFn = std::function<void(const Stmt& loop, llvm::Value* count)>;

  // All must outlive the emitter.
  StmtEmitter(llvm::IRBuilder<>& builder, const NativeOps& native, ExprEmitter& exprs,
              RegisterFile& registers, ParallelFn parallel)
      : builder_(builder),
        native_(native),
        exprs_(exprs),
        registers_(registers),
        parallel_(std::move(parallel)) {}

  // Errors are in the expression emitter's status.
  void Emit(const Stmt& s);

  // for var in [begin, end): body, where the caller knows nothing of either bound.
  void EmitRange(absl::string_view var, llvm::Value* begin, llvm::Value* end, const Stmt& body);

 private:
  void EmitBlock(const Stmt& s);
  void EmitFor(const Stmt& s);
  void EmitIf(const Stmt& s);
  void EmitTile(const Stmt& s);
  // The register of a matrix unit that holds tile number `i` of the statement's.
  llvm::Value* TileRegister(absl::string_view tiles, const Stmt& s, int i);
  // `may_be_empty`: tests begin < end before the first iteration.
  void EmitLoop(absl::string_view var, llvm::Value* begin, llvm::Value* end, const Stmt& body,
                bool may_be_empty);

  llvm::IRBuilder<>& builder_;
  const NativeOps& native_;
  ExprEmitter& exprs_;
  RegisterFile& registers_;
  ParallelFn parallel_;
  // The first register of each buffer of tiles, and how many are taken.
  std::map<std::string, int64_t> tiles_;
  int64_t tile_count_ = 0;
};

}  // namespace hone
