// A loop whose variable alone decides a condition is cut where the condition changes, so that the
// condition is gone from the parts.
//
//   for w in 0..58: x@c[w] = select(1 <= w and w < 57, x[..], 0)
//     ->
//   for w in 0..1: x@c[w] = 0
//   for w in 0..56: x@c[w+1] = x[..]
//   for w in 0..1: x@c[57] = 0
#pragma once

#include <map>
#include <string>

#include "compiler/ir/layout.h"
#include "compiler/ir/simplify.h"
#include "compiler/ir/stmt.h"

namespace hone {

// Straight-line blocks stay whole; loops are cut at the points from which a block's conditions hold
// for all of it. A loop that would need more than four cuts stays whole, and so do those in corners
// of what is cut already, and one in which memory is allocated; register tiles are copied with the
// parts, `layouts` then has their copies.
Stmt PartitionLoops(const Stmt& s, Ranges& ranges, std::map<std::string, Layout>& layouts);

}  // namespace hone
