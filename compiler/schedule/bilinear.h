// Bilinear: what algorithms have in common that make sums of products with fewer multiplications
// (Winograd's, Strassen's): each product takes one linear combination of the data and one of the
// weights, each result a combination of products. The files of these steps use it; it changes no
// nest itself.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "compiler/schedule/loop_nest.h"

namespace hone {

// Rows are what is made, columns what is combined.
using Coefficients = std::vector<std::vector<double>>;

// As the type has it: rounded where that is one of integers.
Expr Constant(double value, Type type);

// The row of the matrix that `which` names, applied to the terms; without multiplications by one.
// Every row has a coefficient that is not zero.
Expr CombinationOf(const Coefficients& matrix, const Expr& which, const std::vector<Expr>& terms);

// The dim of that name; null if there is none.
const Dim* FindDim(const std::vector<Dim>& dims, absl::string_view name);

// Whether another index of the load than number `at` has `dim` in it.
bool IndexedElsewhere(const Expr& load, size_t at, absl::string_view dim);

// An operand's combinations: stage `name`, whose dim `point` counts the rows of the matrix. The
// dims after it are d0, d1, .. of the operand, with `extents` for extents; an extent of 0: the
// index is gone. `read` gives term i of the combination at these indices.
StageNest CombinedOperand(const std::string& name, DType dtype, const std::vector<Expr>& extents,
                          const Coefficients& matrix, const std::string& point,
                          const std::function<Expr(std::vector<Expr>, int64_t)>& read);

}  // namespace hone
