#include "compiler/import/onnx_movement.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/graph/shape_inference.h"

namespace hone {
namespace {

// A position that the model computes, kept inside: a wrong one must not read other memory.
Expr AsIndex(const Expr& value, int64_t extent) {
  const Expr index = Cast(value, DType::kI64);
  const Expr from_start = Select(Less(index, Int(0)), index + extent, index);
  return Min(Max(from_start, Int(0)), Int(std::max<int64_t>(extent - 1, 0)));
}

// Part of `x`: position begin + i * step along `axis`.
StatusOr<int> Part(OnnxNode& node, int x, int axis, int64_t begin, int64_t extent) {
  std::vector<int64_t> shape = node.Shape(x);
  shape[axis] = extent;
  std::vector<Expr> index = IndexVars(node.Rank(x));
  index[axis] = index[axis] + begin;
  return node.IndexMap({x}, shape, Load("v0", node.TypeOf(x), index));
}

// Reshape, transpose, reshape.
Status Rearrange(OnnxNode& node, int x, const std::vector<int64_t>& split,
                 const std::vector<int>& permutation, const std::vector<int64_t>& joined) {
  HONE_ASSIGN_OR_RETURN(const int parts, node.Reshape(x, split));
  HONE_ASSIGN_OR_RETURN(const int moved, node.Transpose(parts, permutation));
  return node.Done(node.Reshape(moved, joined));
}

struct Padding {
  std::vector<int64_t> begin, end;
};

StatusOr<Padding> PaddingOf(OnnxNode& node, int64_t rank) {
  std::vector<int64_t> pads = node.Ints("pads", node.Ints("paddings"));
  if (node.opset() >= 11) {
    HONE_ASSIGN_OR_RETURN(pads, node.KnownInts(1, "pads"));
  }
  std::vector<int64_t> axes(rank);
  for (int64_t d = 0; d < rank; ++d) axes[d] = d;
  if (node.Has(3)) {
    HONE_ASSIGN_OR_RETURN(axes, node.KnownInts(3, "axes"));
  }
  if (pads.size() != 2 * axes.size()) {
    return absl::InvalidArgumentError("its pads are not two a dimension");
  }
  Padding padding{std::vector<int64_t>(rank, 0), std::vector<int64_t>(rank, 0)};
  for (size_t i = 0; i < axes.size(); ++i) {
    HONE_ASSIGN_OR_RETURN(const int d, node.Axis(axes[i], rank));
    padding.begin[d] = pads[i];
    padding.end[d] = pads[i + axes.size()];
  }
  return padding;
}

}  // namespace

Status ImportConcat(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const std::vector<int> inputs, node.AllInputs());
  HONE_ASSIGN_OR_RETURN(const int axis, node.Axis(node.Int("axis", 1), node.Rank(inputs[0])));
  if (inputs.size() == 1) return node.Done(inputs[0]);
  return node.Done(node.graph().Add(node.name(), ConcatOp{axis}, inputs));
}

Status ImportDepthToSpace(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  const std::vector<int64_t> s = node.Shape(x);
  const int64_t b = node.Int("blocksize", 0);
  if (s.size() != 4 || b < 1 || s[1] % (b * b) != 0) {
    return absl::InvalidArgumentError("its block size does not fit its input");
  }
  const int64_t c = s[1] / (b * b);
  const std::vector<int64_t> joined = {s[0], c, s[2] * b, s[3] * b};
  if (node.String("mode", "DCR") == "CRD") {
    return Rearrange(node, x, {s[0], c, b, b, s[2], s[3]}, {0, 1, 4, 2, 5, 3}, joined);
  }
  return Rearrange(node, x, {s[0], b, b, c, s[2], s[3]}, {0, 3, 4, 1, 5, 2}, joined);
}

Status ImportSpaceToDepth(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  const std::vector<int64_t> s = node.Shape(x);
  const int64_t b = node.Int("blocksize", 0);
  if (s.size() != 4 || b < 1 || s[2] % b != 0 || s[3] % b != 0) {
    return absl::InvalidArgumentError("its block size does not fit its input");
  }
  return Rearrange(node, x, {s[0], s[1], s[2] / b, b, s[3] / b, b}, {0, 3, 5, 1, 2, 4},
                   {s[0], s[1] * b * b, s[2] / b, s[3] / b});
}

Status ImportExpand(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> wanted, node.KnownInts(1, "shape"));
  HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> shape, BroadcastShapes({node.Shape(x), wanted}));
  if (ElementCount(shape) == ElementCount(node.Shape(x))) return node.Done(node.Reshape(x, shape));
  const size_t lead = shape.size() - node.Shape(x).size();
  std::vector<Expr> index;
  for (size_t d = 0; d < node.Shape(x).size(); ++d) {
    index.push_back(node.Shape(x)[d] == 1 ? Int(0) : Var(absl::StrCat("d", d + lead)));
  }
  return node.Done(node.IndexMap({x}, shape, Load("v0", node.TypeOf(x), index)));
}

// y[a..., i..., b...] = x[a..., indices[i...], b...]
Status ImportGather(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_ASSIGN_OR_RETURN(const int indices, node.Input(1));
  HONE_ASSIGN_OR_RETURN(const int axis, node.Axis(node.Int("axis", 0), node.Rank(x)));
  const int64_t extent = node.Shape(x)[axis];
  const int64_t index_rank = node.Rank(indices);
  std::vector<int64_t> shape(node.Shape(x).begin(), node.Shape(x).begin() + axis);
  shape.insert(shape.end(), node.Shape(indices).begin(), node.Shape(indices).end());
  shape.insert(shape.end(), node.Shape(x).begin() + axis + 1, node.Shape(x).end());
  const std::vector<Expr> at = IndexVars(static_cast<int64_t>(shape.size()));
  std::vector<Expr> index(at.begin(), at.begin() + axis);
  std::vector<int> values = {x};
  const Tensor* known = node.graph().ConstantOf(indices);
  if (known != nullptr && known->ElementCount() == 1) {
    const int64_t one = known->GetInt(0) < 0 ? known->GetInt(0) + extent : known->GetInt(0);
    if (one < 0 || one >= extent)
      return absl::InvalidArgumentError("an index is outside its input");
    index.push_back(Int(one));
  } else {
    values.push_back(indices);
    index.push_back(AsIndex(
        Load("v1", node.TypeOf(indices), {at.begin() + axis, at.begin() + axis + index_rank}),
        extent));
  }
  index.insert(index.end(), at.begin() + axis + index_rank, at.end());
  return node.Done(node.IndexMap(values, shape, Load("v0", node.TypeOf(x), index)));
}

Status ImportGatherElements(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_ASSIGN_OR_RETURN(const int indices, node.Input(1));
  HONE_ASSIGN_OR_RETURN(const int axis, node.Axis(node.Int("axis", 0), node.Rank(x)));
  if (node.Rank(indices) != node.Rank(x)) {
    return absl::InvalidArgumentError("its indices have another rank than its data");
  }
  std::vector<Expr> index = IndexVars(node.Rank(x));
  index[axis] =
      AsIndex(Load("v1", node.TypeOf(indices), IndexVars(node.Rank(x))), node.Shape(x)[axis]);
  const std::vector<int64_t> shape = node.Shape(indices);
  return node.Done(node.IndexMap({x, indices}, shape, Load("v0", node.TypeOf(x), index)));
}

Status ImportOneHot(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int indices, node.Input(0));
  HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> depth, node.KnownInts(1, "depth"));
  HONE_ASSIGN_OR_RETURN(const int values, node.Input(2));
  if (ElementCount(node.Shape(values)) != 2 || node.Rank(values) != 1) {
    return absl::InvalidArgumentError("its values are not two");
  }
  HONE_ASSIGN_OR_RETURN(const int axis, node.Axis(node.Int("axis", -1), node.Rank(indices) + 1));
  if (depth.size() != 1 || depth[0] < 1) return absl::InvalidArgumentError("its depth is not one");
  std::vector<int64_t> shape = node.Shape(indices);
  shape.insert(shape.begin() + axis, depth[0]);
  std::vector<Expr> at = IndexVars(static_cast<int64_t>(shape.size()));
  const Expr along = at[axis];
  at.erase(at.begin() + axis);
  // Positions outside are hot nowhere.
  const Expr given = Cast(Load("v0", node.TypeOf(indices), at), DType::kI64);
  const Expr hot = Select(Less(given, Int(0)), given + depth[0], given);
  const DType dtype = node.TypeOf(values);
  return node.Done(node.IndexMap({indices, values}, shape,
                                 Select(Binary(BinaryOp::kEqual, along, hot),
                                        Load("v1", dtype, {Int(1)}), Load("v1", dtype, {Int(0)}))));
}

Status ImportPad(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  const int64_t rank = node.Rank(x);
  HONE_ASSIGN_OR_RETURN(const Padding padding, PaddingOf(node, rank));
  const std::string mode = node.String("mode", "constant");
  const DType dtype = node.TypeOf(x);
  std::vector<int64_t> shape = node.Shape(x);
  std::vector<Expr> index = IndexVars(rank);
  for (int64_t d = 0; d < rank; ++d) {
    const int64_t extent = shape[d];
    shape[d] += padding.begin[d] + padding.end[d];
    if (shape[d] < 0) return absl::InvalidArgumentError("its pads take away more than there is");
    if (padding.begin[d] == 0 && padding.end[d] == 0) continue;
    index[d] = index[d] + (-padding.begin[d]);
    if (mode == "edge") {
      index[d] = Min(Max(index[d], Int(0)), Int(extent - 1));
    } else if (mode == "reflect") {
      if (std::max(padding.begin[d], padding.end[d]) >= extent) {
        return absl::UnimplementedError("reflecting more than once is not supported");
      }
      const Expr from_end = Int(extent - 1) - Unary(UnaryOp::kAbs, index[d]);
      index[d] = Int(extent - 1) - Unary(UnaryOp::kAbs, from_end);
    } else if (mode == "wrap") {
      index[d] = FloorMod(index[d], extent);
    } else if (mode != "constant") {
      return absl::UnimplementedError(absl::StrCat("mode '", mode, "' is not supported"));
    }
  }
  Expr outside;
  if (mode == "constant") {
    double value = node.Float("value", 0);
    if (node.Has(2)) {
      HONE_ASSIGN_OR_RETURN(const Tensor* given, node.Known(2, "padding value"));
      if (given->ElementCount() > 0) value = given->Get(0);
    }
    outside = Number(value, dtype);
  }
  return node.Done(node.IndexMap({x}, shape, Load("v0", dtype, index, outside)));
}

Status ImportSlice(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  std::vector<int64_t> starts = node.Ints("starts");
  std::vector<int64_t> ends = node.Ints("ends");
  std::vector<int64_t> axes = node.Ints("axes");
  std::vector<int64_t> steps;
  if (node.opset() >= 10) {
    HONE_ASSIGN_OR_RETURN(starts, node.KnownInts(1, "starts"));
    HONE_ASSIGN_OR_RETURN(ends, node.KnownInts(2, "ends"));
    if (node.Has(3)) {
      HONE_ASSIGN_OR_RETURN(axes, node.KnownInts(3, "axes"));
    }
    if (node.Has(4)) {
      HONE_ASSIGN_OR_RETURN(steps, node.KnownInts(4, "steps"));
    }
  }
  if (axes.empty()) {
    for (size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  }
  if (steps.empty()) steps.assign(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() ||
      steps.size() != starts.size()) {
    return absl::InvalidArgumentError("its starts, ends, axes and steps differ in number");
  }
  std::vector<int64_t> shape = node.Shape(x);
  std::vector<Expr> index = IndexVars(node.Rank(x));
  for (size_t i = 0; i < starts.size(); ++i) {
    HONE_ASSIGN_OR_RETURN(const int d, node.Axis(axes[i], node.Rank(x)));
    const int64_t extent = node.Shape(x)[d];
    const int64_t step = steps[i];
    if (step == 0) return absl::InvalidArgumentError("a step is 0");
    // Positions before the beginning count from the end, then are clamped to what is there.
    auto clamped = [&](int64_t at, int64_t low, int64_t high) {
      return std::clamp(at < 0 ? at + extent : at, low, high);
    };
    if (extent == 0) continue;
    const int64_t start = clamped(starts[i], 0, step > 0 ? extent : extent - 1);
    const int64_t end =
        step > 0
            ? clamped(ends[i], 0, extent)
            : std::clamp<int64_t>(ends[i] < 0 && ends[i] >= -extent ? ends[i] + extent : ends[i],
                                  -1, extent - 1);
    const int64_t span = step > 0 ? end - start + step - 1 : end - start + step + 1;
    shape[d] = std::max<int64_t>(0, span / step);
    index[d] = index[d] * step + start;
  }
  if (shape == node.Shape(x) &&
      std::all_of(steps.begin(), steps.end(), [](int64_t step) { return step == 1; })) {
    return node.Done(x);
  }
  return node.Done(node.IndexMap({x}, shape, Load("v0", node.TypeOf(x), index)));
}

Status ImportSplit(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_ASSIGN_OR_RETURN(const int axis, node.Axis(node.Int("axis", 0), node.Rank(x)));
  std::vector<int64_t> parts = node.Ints("split");
  if (node.Has(1)) {
    HONE_ASSIGN_OR_RETURN(parts, node.KnownInts(1, "split"));
  }
  const int64_t extent = node.Shape(x)[axis];
  if (parts.empty()) {
    const int64_t count = node.Int("num_outputs", node.OutputCount());
    if (count < 1) return absl::InvalidArgumentError("it has no outputs");
    const int64_t each = (extent + count - 1) / count;
    for (int64_t i = 0; i < count; ++i) {
      parts.push_back(std::max<int64_t>(0, std::min(each, extent - i * each)));
    }
  }
  int64_t total = 0;
  for (int64_t part : parts) total += part;
  if (total != extent || static_cast<int>(parts.size()) != node.OutputCount()) {
    return absl::InvalidArgumentError("its parts do not make up its input");
  }
  int64_t begin = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    HONE_ASSIGN_OR_RETURN(const int part, Part(node, x, axis, begin, parts[i]));
    node.SetOutput(static_cast<int>(i), part);
    begin += parts[i];
  }
  return absl::OkStatus();
}

Status ImportTile(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> repeats, node.KnownInts(1, "repeats"));
  if (static_cast<int64_t>(repeats.size()) != node.Rank(x)) {
    return absl::InvalidArgumentError("its repeats are not one a dimension");
  }
  std::vector<int64_t> shape = node.Shape(x);
  std::vector<Expr> index = IndexVars(node.Rank(x));
  for (size_t d = 0; d < shape.size(); ++d) {
    if (repeats[d] < 0) return absl::InvalidArgumentError("a repeat is negative");
    if (repeats[d] != 1 && shape[d] > 0) index[d] = FloorMod(index[d], shape[d]);
    shape[d] *= repeats[d];
  }
  return node.Done(node.IndexMap({x}, shape, Load("v0", node.TypeOf(x), index)));
}

Status ImportTranspose(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  const int64_t rank = node.Rank(x);
  std::vector<int64_t> reversed(rank);
  for (int64_t d = 0; d < rank; ++d) reversed[d] = rank - 1 - d;
  const std::vector<int64_t> listed = node.Ints("perm", reversed);
  std::vector<int> permutation(listed.begin(), listed.end());
  std::vector<int64_t> sorted = listed;
  std::sort(sorted.begin(), sorted.end());
  std::reverse(reversed.begin(), reversed.end());
  if (sorted != reversed) return absl::InvalidArgumentError("its perm is no permutation");
  return node.Done(node.Transpose(x, permutation));
}

Status ImportTrilu(OnnxNode& node) {
  HONE_ASSIGN_OR_RETURN(const int x, node.Input(0));
  int64_t k = 0;
  if (node.Has(1)) {
    HONE_ASSIGN_OR_RETURN(const std::vector<int64_t> given, node.KnownInts(1, "diagonal"));
    if (given.size() == 1) k = given[0];
  }
  const int64_t rank = node.Rank(x);
  if (rank < 2) return absl::InvalidArgumentError("its input is not a matrix");
  const std::vector<Expr> at = IndexVars(rank);
  const Expr diagonal = at[rank - 2] + k;  // the column on the diagonal
  const bool upper = node.Int("upper", 1) != 0;
  const Expr kept = upper ? LessEqual(diagonal, at[rank - 1]) : LessEqual(at[rank - 1], diagonal);
  const DType dtype = node.TypeOf(x);
  const std::vector<int64_t> shape = node.Shape(x);
  return node.Done(
      node.IndexMap({x}, shape, Select(kept, Load("v0", dtype, at), Number(0, dtype))));
}

}  // namespace hone
