#include "compiler/codegen/llvm_stmt.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compiler/codegen/interleaved_stores.h"
#include "compiler/codegen/multiply_add_block.h"
#include "llvm/IR/IntrinsicsX86.h"

namespace hone {
namespace {

llvm::BasicBlock* NewBlock(llvm::IRBuilder<>& builder) {
  return llvm::BasicBlock::Create(builder.getContext(), "", builder.GetInsertBlock()->getParent());
}

}  // namespace

void StmtEmitter::Emit(const Stmt& s) {
  if (!exprs_.status().ok()) return;
  exprs_.BeginStatement();
  switch (s.kind()) {
    case StmtKind::kBlock: {
      const int64_t tile_count = tile_count_;
      EmitBlock(s);
      tile_count_ = tile_count;  // what a block declares ends with it
      return;
    }
    case StmtKind::kFor:
      return EmitFor(s);
    case StmtKind::kIf:
      return EmitIf(s);
    case StmtKind::kLet:
      return exprs_.BindValue(s->name, exprs_.Emit(s->value));
    case StmtKind::kAllocate:
      // Scratch is bound on entry, registers need nothing.
      if (s->buffer.scope == Scope::kTile) {
        tiles_[s->buffer.name] = tile_count_;
        tile_count_ += s->buffer.shape[0]->int_value;
        return;
      }
      if (s->buffer.scope != Scope::kScratch && s->buffer.scope != Scope::kRegister) {
        exprs_.Fail(absl::StrCat("buffer '", s->buffer.name, "' has scope ",
                                 ScopeName(s->buffer.scope),
                                 ", which the CPU generator does not have"));
      }
      return;
    case StmtKind::kStore:
      if (s->indices.size() != 1) {
        return exprs_.Fail(
            absl::StrCat("the store to '", s->name, "' is not lowered: it needs one flat index"));
      }
      return exprs_.EmitStore(s->name, s->indices[0], exprs_.Emit(s->value), s->value.type());
    case StmtKind::kPrefetch:
      if (s->indices.size() != 1) {
        return exprs_.Fail(absl::StrCat("the prefetch of '", s->name,
                                        "' is not lowered: it needs one flat index"));
      }
      return exprs_.EmitPrefetch(s->name, s->indices[0]);
    case StmtKind::kTile:
      return EmitTile(s);
  }
}

llvm::Value* StmtEmitter::TileRegister(absl::string_view tiles, const Stmt& s, int i) {
  const auto found = tiles_.find(std::string(tiles));
  if (found == tiles_.end()) {
    exprs_.Fail(absl::StrCat("tile buffer '", tiles, "' is not defined here"));
    return builder_.getInt8(0);
  }
  return builder_.getInt8(static_cast<uint8_t>(found->second + s->indices[i]->int_value));
}

// By the intrinsics that name registers: those whose values are tiles leave the registers to LLVM,
// which reloads them without their strides.
void StmtEmitter::EmitTile(const Stmt& s) {
  struct Multiply {
    const char* name;
    llvm::Intrinsic::ID id;
  };
  static constexpr Multiply kMultiplies[] = {
      {"tdpbf16ps", llvm::Intrinsic::x86_tdpbf16ps}, {"tdpbssd", llvm::Intrinsic::x86_tdpbssd},
      {"tdpbsud", llvm::Intrinsic::x86_tdpbsud},     {"tdpbusd", llvm::Intrinsic::x86_tdpbusd},
      {"tdpbuud", llvm::Intrinsic::x86_tdpbuud},
  };
  llvm::Value* tile = TileRegister(s->name, s, 0);
  if (s->tile_op == TileOp::kZero) {
    builder_.CreateIntrinsic(llvm::Intrinsic::x86_tilezero, {}, {tile});
    return;
  }
  if (s->tile_op == TileOp::kMultiply) {
    llvm::Value* left = TileRegister(s->source, s, 1);
    llvm::Value* right = TileRegister(s->right, s, 2);
    for (const Multiply& multiply : kMultiplies) {
      if (s->intrinsic != multiply.name) continue;
      builder_.CreateIntrinsic(multiply.id, {}, {tile, left, right});
      return;
    }
    return exprs_.Fail(absl::StrCat("there is no emission for intrinsic '", s->intrinsic, "'"));
  }
  const bool is_store = s->tile_op == TileOp::kStore;
  const auto dtype = exprs_.MemoryDType(s->source);
  llvm::Value* pointer = exprs_.EmitPointer(s->source, s->indices[1], is_store);
  if (pointer == nullptr) return;
  llvm::Value* bytes = exprs_.Emit(s->indices[2] * DTypeBytes(dtype));
  const llvm::Intrinsic::ID move = is_store ? llvm::Intrinsic::x86_tilestored64
                                   : s->tile_op == TileOp::kStream
                                       ? llvm::Intrinsic::x86_tileloaddt164
                                       : llvm::Intrinsic::x86_tileloadd64;
  builder_.CreateIntrinsic(move, {}, {tile, pointer, bytes});
}

void StmtEmitter::EmitBlock(const Stmt& s) {
  for (size_t i = 0; i < s->body.size();) {
    const auto block = MultiplyAddBlock::Find(s->body, i, native_, registers_);
    exprs_.BeginStatement();
    if (const size_t run = FindInterleavedStores(s->body, i, registers_); run > 0) {
      EmitInterleavedStores(s->body, i, run, builder_, exprs_);
      i += run;
      continue;
    }
    const size_t emitted = block.IsWorthIt() ? block.Emit(builder_, exprs_, registers_) : 0;
    i += emitted;
    if (emitted > 0) continue;
    const size_t end = i + std::max<size_t>(1, block.size());
    for (; i < end; ++i) Emit(s->body[i]);
  }
}

void StmtEmitter::EmitFor(const Stmt& s) {
  if (s->loop_kind == LoopKind::kVector || s->loop_kind == LoopKind::kUnroll) {
    return exprs_.Fail(absl::StrCat("loop '", s->name, "' of kind ", LoopKindName(s->loop_kind),
                                    " is not lowered"));
  }
  llvm::Value* extent = exprs_.Emit(s->extent);
  if (s->loop_kind == LoopKind::kParallel) return parallel_(s, extent);
  if (s->extent.IsInt() && s->extent->int_value <= 0) return;
  if (s->extent.IsInt(1)) {
    exprs_.BindValue(s->name, builder_.getInt64(0));
    return Emit(s->body[0]);
  }
  EmitLoop(s->name, builder_.getInt64(0), extent, s->body[0], !s->extent.IsInt());
}

void StmtEmitter::EmitRange(absl::string_view var, llvm::Value* begin, llvm::Value* end,
                            const Stmt& body) {
  EmitLoop(var, begin, end, body, true);
}

//   before:  br (begin < end) loop, after          (or straight into the loop)
//   loop:    i = phi [begin, before], [next, last]; r = phi [r0, before], [r1, last]
//            ... body, maybe of many blocks ...
//   last:    next = i + 1; br (next < end) loop, after
//   after:   r = phi [r0, before], [r1, last]
void StmtEmitter::EmitLoop(absl::string_view var, llvm::Value* begin, llvm::Value* end,
                           const Stmt& body, bool may_be_empty) {
  llvm::LLVMContext& context = builder_.getContext();
  const std::vector<int> carried = registers_.StoredIn(body);
  llvm::BasicBlock* before = builder_.GetInsertBlock();
  llvm::BasicBlock* loop = NewBlock(builder_);
  llvm::BasicBlock* after = NewBlock(builder_);
  llvm::Instruction* entry =
      may_be_empty ? builder_.CreateCondBr(builder_.CreateICmpSLT(begin, end), loop, after)
                   : builder_.CreateBr(loop);

  builder_.SetInsertPoint(loop);
  llvm::PHINode* i = builder_.CreatePHI(builder_.getInt64Ty(), 2);
  i->addIncoming(begin, before);
  std::vector<llvm::Value*> initial;
  std::vector<llvm::PHINode*> phis;
  for (int unit : carried) {
    initial.push_back(registers_.Get(context, unit));
    phis.push_back(builder_.CreatePHI(initial.back()->getType(), 2));
    phis.back()->addIncoming(initial.back(), before);
    registers_.Set(unit, phis.back());
  }
  exprs_.EnterRegion(entry);
  exprs_.BindValue(var, i);
  Emit(body);
  exprs_.LeaveRegion();

  llvm::BasicBlock* last = builder_.GetInsertBlock();
  llvm::Value* next = builder_.CreateAdd(i, builder_.getInt64(1), "", true, true);
  i->addIncoming(next, last);
  for (size_t k = 0; k < carried.size(); ++k) {
    phis[k]->addIncoming(registers_.Get(context, carried[k]), last);
  }
  builder_.CreateCondBr(builder_.CreateICmpSLT(next, end), loop, after);

  builder_.SetInsertPoint(after);
  if (!may_be_empty) return;
  for (size_t k = 0; k < carried.size(); ++k) {
    llvm::PHINode* merged = builder_.CreatePHI(initial[k]->getType(), 2);
    merged->addIncoming(initial[k], before);
    merged->addIncoming(registers_.Get(context, carried[k]), last);
    registers_.Set(carried[k], merged);
  }
}

void StmtEmitter::EmitIf(const Stmt& s) {
  llvm::LLVMContext& context = builder_.getContext();
  llvm::Value* condition = exprs_.Emit(s->value);
  llvm::BasicBlock* after = NewBlock(builder_);
  const std::vector<int> changed = registers_.StoredIn(s);
  std::vector<llvm::Value*> initial;
  for (int unit : changed) initial.push_back(registers_.Get(context, unit));

  llvm::BasicBlock* before = builder_.GetInsertBlock();
  llvm::BasicBlock* arms[2] = {NewBlock(builder_), s->body.size() > 1 ? NewBlock(builder_) : after};
  llvm::Instruction* entry = builder_.CreateCondBr(condition, arms[0], arms[1]);
  // The blocks that lead to `after` and the values they bring.
  std::vector<std::pair<llvm::BasicBlock*, std::vector<llvm::Value*>>> incoming;
  if (s->body.size() == 1) incoming.emplace_back(before, initial);
  for (size_t arm = 0; arm < s->body.size(); ++arm) {
    builder_.SetInsertPoint(arms[arm]);
    for (size_t k = 0; k < changed.size(); ++k) registers_.Set(changed[k], initial[k]);
    exprs_.EnterRegion(entry);
    Emit(s->body[arm]);
    exprs_.LeaveRegion();
    std::vector<llvm::Value*> values;
    for (int unit : changed) values.push_back(registers_.Get(context, unit));
    incoming.emplace_back(builder_.GetInsertBlock(), values);
    builder_.CreateBr(after);
  }
  builder_.SetInsertPoint(after);
  for (size_t k = 0; k < changed.size(); ++k) {
    llvm::PHINode* merged = builder_.CreatePHI(initial[k]->getType(), 2);
    for (const auto& [block, values] : incoming) merged->addIncoming(values[k], block);
    registers_.Set(changed[k], merged);
  }
}

}  // namespace hone
