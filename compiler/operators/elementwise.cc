#include "compiler/operators/elementwise.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {

Workload ElementwiseWorkload(const std::vector<int64_t>& shape, const Epilogue& expression) {
  const Frame frame = Frame::Collapsed(shape, expression.operands);
  Workload workload;
  std::map<std::string, Expr> values;
  for (size_t j = 0; j < expression.operands.size(); ++j) {
    const bool first = workload.FindBuffer("x") == nullptr;
    values[absl::StrCat("v", j)] =
        frame.AddOperand(expression.operands[j], workload, first ? "x" : "r");
  }
  const Expr body = Substitute(expression.value, values);
  Finish(Core{.dtype = body.type().dtype, .body = body}, frame, {}, workload);
  return workload;
}

}  // namespace hone
