// Loops of kind vector become vector operations; what is left when the extent is no multiple of the
// machine's lanes becomes narrower vectors, at last single points.
//
//   for v in 0..20 (vector): y[v] = x[v] * s
//     ->  y[ramp(0,1;8)] = x[ramp(0,1;8)] * broadcast(s;8);  y[ramp(8,1;8)] = ...;  y[ramp(16,1;4)]
//     = ...
#pragma once

#include "compiler/ir/simplify.h"
#include "compiler/ir/stmt.h"

namespace hone {

// A piece of a vector loop: `lanes` iterations from `offset` on.
struct VectorPiece {
  int64_t offset;
  int lanes;
};

// Cuts an extent into pieces of at most `lanes` lanes, widest first, all powers of two.
std::vector<VectorPiece> CutIntoVectors(int64_t extent, int lanes);

// The expression for lanes `var` = offset, offset+1, ...; scalar if it does not use `var`.
Expr VectorizeExpr(const Expr& e, const std::string& var, const Expr& offset, int lanes,
                   const Ranges& ranges);
// A store for the same lanes. Errors: InvalidArgument when all lanes would store to one place.
StatusOr<Stmt> VectorizeStore(const Stmt& store, const std::string& var, const Expr& offset,
                              int lanes, const Ranges& ranges);

// Buffers have flat indices already.
StatusOr<Stmt> VectorizeLoops(const Stmt& s, int vector_bits, Ranges& ranges);

}  // namespace hone
