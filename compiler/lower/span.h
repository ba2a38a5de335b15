// Span: an interval of symbolic integers, and what index maps make of spans. Bounds inference
// computes the regions of stages with it; it knows indices alone, neither stages nor loops.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "compiler/ir/expr.h"
#include "compiler/ir/simplify.h"

namespace hone {

// [base, base + extent)
struct Span {
  Expr base;
  Expr extent;
};

// The span of an index over the spans of the dimensions in it; other variables stand for
// themselves. Nothing if the index is neither linear in them nor a floordiv or floormod of what is.
std::optional<Span> IndexSpan(const Expr& index, const std::map<std::string, Span>& dims,
                              const Ranges& ranges);

// Whether `span` is known to lie in `whole`.
bool IsInside(const Span& span, const Span& whole, const Ranges& ranges);

// What is partly padding, moved to where it lies inside: it then holds all points of the whole
// that it held, and a point that it held is outside of the whole when it is outside now.
Span MovedInside(const Span& span, const Span& whole, const Ranges& ranges);

// Makes `span` hold `more` too. False, and nothing done, where it is not known how far apart they
// begin.
bool Extend(const Span& more, const Ranges& ranges, Span* span);

}  // namespace hone
