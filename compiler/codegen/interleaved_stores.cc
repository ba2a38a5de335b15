#include "compiler/codegen/interleaved_stores.h"

#include <algorithm>

#include "compiler/ir/simplify.h"
#include "llvm/ADT/SmallVector.h"

namespace hone {
namespace {

// Whether the statement stores a vector to memory with gaps of `stride`.
bool IsStrided(const Stmt& s, int64_t stride, const RegisterFile& registers) {
  if (s.kind() != StmtKind::kStore || s->indices.size() != 1 || registers.Has(s->name))
    return false;
  const Expr& index = s->indices[0];
  return index.kind() == ExprKind::kRamp && index.arg(1).IsInt(stride) &&
         s->value.type().lanes == index.type().lanes && s->value.type().dtype != DType::kBool;
}

// Whether statement number `i` of the run takes its place beside the first.
bool Continues(const Stmt& first, const Stmt& s, int64_t i) {
  int64_t distance = 0;
  return s->name == first->name && s->value.type() == first->value.type() &&
         !LoadsFrom(s->value, first->name) &&
         ConstantDifference(s->indices[0].arg(0), first->indices[0].arg(0), {}, &distance) &&
         distance == i;
}

// v0 w0 v1 w1 ... Values of 16 bits become the halves of wider ones, which costs a shuffle less,
// and nothing where they were narrowed from such.
llvm::Value* Interleave(llvm::IRBuilder<>& builder, llvm::Value* v, llvm::Value* w, int lanes) {
  if (v->getType()->getScalarSizeInBits() == 16) {
    llvm::Type* wide = llvm::VectorType::get(builder.getInt32Ty(), lanes, /*Scalable=*/false);
    llvm::Value* low = builder.CreateZExt(v, wide);
    llvm::Value* high = builder.CreateShl(builder.CreateZExt(w, wide), 16);
    llvm::Type* both = llvm::VectorType::get(v->getType()->getScalarType(), 2 * lanes, false);
    return builder.CreateBitCast(builder.CreateOr(low, high), both);
  }
  llvm::SmallVector<int, 128> mask;
  for (int lane = 0; lane < lanes; ++lane) {
    mask.push_back(lane);
    mask.push_back(lanes + lane);
  }
  return builder.CreateShuffleVector(v, w, mask);
}

}  // namespace

size_t FindInterleavedStores(const std::vector<Stmt>& statements, size_t begin,
                             const RegisterFile& registers) {
  const Stmt& first = statements[begin];
  for (const size_t count : {size_t{2}, size_t{4}}) {
    const auto stride = static_cast<int64_t>(count);
    if (statements.size() - begin < count || !IsStrided(first, stride, registers)) continue;
    bool is_run = !LoadsFrom(first->value, first->name);
    for (size_t i = 1; is_run && i < count; ++i) {
      const Stmt& s = statements[begin + i];
      is_run = IsStrided(s, stride, registers) && Continues(first, s, static_cast<int64_t>(i));
    }
    if (is_run) return count;
  }
  return 0;
}

void EmitInterleavedStores(const std::vector<Stmt>& statements, size_t begin, size_t count,
                           llvm::IRBuilder<>& builder, ExprEmitter& exprs) {
  const Stmt& first = statements[begin];
  int lanes = first->value.type().lanes;
  std::vector<llvm::Value*> vectors;
  for (size_t i = 0; i < count; ++i) vectors.push_back(exprs.Emit(statements[begin + i]->value));
  // Halves first: of four, 0 with 2 and 1 with 3.
  for (; vectors.size() > 1; lanes *= 2) {
    const size_t half = vectors.size() / 2;
    for (size_t i = 0; i < half; ++i) {
      vectors[i] = Interleave(builder, vectors[i], vectors[half + i], lanes);
    }
    vectors.resize(half);
  }
  const Type type = {first->value.type().dtype, lanes};
  exprs.EmitStore(first->name, Ramp(first->indices[0].arg(0), Int(1), lanes), vectors[0], type);
}

}  // namespace hone
