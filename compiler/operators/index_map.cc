#include "compiler/operators/index_map.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {

Workload IndexMapWorkload(const IndexMap& map, const Epilogue& epilogue) {
  Workload workload;
  std::map<std::string, std::string> names;
  int inputs = 0;
  int constants = 0;
  for (size_t j = 0; j < map.operands.size(); ++j) {
    const Operand& operand = map.operands[j];
    int& count = operand.constant ? constants : inputs;
    const char* base = operand.constant ? "b" : "x";
    const std::string name = ++count == 1 ? std::string(base) : absl::StrCat(base, count);
    names[absl::StrCat("v", j)] = name;
    const std::vector<int64_t> shape =
        operand.shape.empty() ? std::vector<int64_t>{1} : operand.shape;
    workload.buffers.push_back(ArgumentBuffer(
        name, operand.dtype, operand.constant ? BufferRole::kConstant : BufferRole::kInput, shape));
  }
  const Expr body = Rewrite(map.body, [&](const Expr& e) {
    if (e.kind() != ExprKind::kLoad) return Expr();
    auto found = names.find(e->name);
    if (found == names.end()) return Expr();
    std::vector<Expr> indices = Indices(e);
    if (indices.empty()) indices = {Int(0)};
    return Load(found->second, e.type().dtype, std::move(indices), Otherwise(e));
  });
  std::vector<int64_t> y = map.y;
  std::vector<std::string> dims;
  for (size_t d = 0; d < y.size(); ++d) dims.push_back(absl::StrCat("d", d));
  if (y.empty()) {
    y = {1};
    dims = {"d0"};
  }
  Finish(Core{.dtype = body.type().dtype, .body = body}, Frame::Plain(y, dims), epilogue, workload);
  return workload;
}

IndexMap Concatenation(const std::vector<Operand>& operands, int axis) {
  IndexMap map{.y = operands[0].shape, .operands = operands};
  map.y[axis] = 0;
  for (const Operand& operand : operands) map.y[axis] += operand.shape[axis];
  // select(d < first, v0[..., d, ...], select(d < first + second, v1[..., d - first, ...], ...)),
  // built from the last operand backwards.
  int64_t begin = map.y[axis];
  const Expr along = Var(absl::StrCat("d", axis));
  for (size_t j = operands.size(); j-- > 0;) {
    const int64_t end = begin;
    begin -= operands[j].shape[axis];
    if (begin == end && (j > 0 || map.body)) continue;  // nothing; but all of nothing is v0
    std::vector<Expr> index;
    for (size_t d = 0; d < map.y.size(); ++d) index.push_back(Var(absl::StrCat("d", d)));
    index[axis] = along + (-begin);
    const Expr part = Load(absl::StrCat("v", j), operands[j].dtype, std::move(index));
    map.body = map.body ? Select(Less(along, Int(end)), part, map.body) : part;
  }
  return map;
}

}  // namespace hone
