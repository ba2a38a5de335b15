// Products of matrices by Strassen's algorithm: 7 products of quarters for 8, and additions that
// count little where the matrices are large. Strips of rows, so that their combinations and their
// products stay in the second cache:
//
//   strip                    of pairs of rows
//     combinations           of the data's rows, all that is summed
//     group                  of columns
//       products             a contraction for each of the 7, nested as ContractionRule does
//       pair by pair         results from products, and epilogue
//
// Convolutions of 1x1 are such products too: their rows are pixels, one dim's cut in pairs.
#include <algorithm>
#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "compiler/schedule/steps.h"
#include "tuner/space/contraction.h"
#include "tuner/space/rule.h"

namespace hone {
namespace {

// A strip has at least a pair of the dim that is cut, and all rows inside of it: up to so many.
constexpr int64_t kInnerRowsMax = 64;
constexpr int64_t kStripRowsMax = 384;

// What threads share: strips, or groups of columns where there are few strips.
enum class Share { kStrips, kGroups };

// Dims are named as in the anchor and, with `_out`, as in the output.
struct Roles {
  std::string column, column_out;  // vectors run along it
  std::string row, row_out;        // cut in pairs
  std::string sum;
  std::vector<std::string> outer_out;             // outside of strips, and
  std::vector<std::string> inner_out;             // inside of them: all others, as memory has them
  int64_t inner_rows = 1;                         // product of the extents of these
  std::map<std::string, std::string> anchor_dim;  // by the output's dim
  std::string data;                               // tensor
  size_t data_row = 0, data_sum = 0;              // the data's indices of these dims
};

// Fewer rows than that do not use the weights often enough: there are 7 quarters of them for 4.
constexpr int64_t kRowsMin = 64;

// Whether the product saved out of 8 is worth more than the additions: per vector of results there
// are about 4 loads and stores, per vector of data 3. By the cycles they take 1/16 would do;
// measured, what passes through the caches costs several times that.
bool IsLargeEnough(double columns, double sums) { return 4 / sums + 3 / columns < 0.014; }

std::optional<Roles> FindRoles(const RuleInput& input) {
  if (input.anchor == nullptr || !input.producers.empty() ||
      input.anchor->stage.dtype != DType::kF32) {
    return std::nullopt;
  }
  const Stage& anchor = input.anchor->stage;
  const std::optional<ContractionForm> form = MatchContractionForm(anchor);
  if (!form) return std::nullopt;
  for (const std::vector<Dim>* dims : {&anchor.dims, &anchor.reduce}) {
    for (const Dim& dim : *dims) {
      if (!dim.extent.IsInt()) return std::nullopt;
    }
  }
  const auto extent = [&](const std::string& dim) {
    return DimExtent(input.nest, *input.anchor, dim);
  };
  const int64_t lanes = input.target.FloatLanes();
  Roles roles;
  roles.anchor_dim = AnchorDims(input);
  const OutputOrder order = OrderOf(input.nest, *input.output);
  roles.column_out = order.vector_dim;
  roles.column = roles.anchor_dim[order.vector_dim];
  if (roles.column.empty() || extent(roles.column) % (2 * lanes) != 0) return std::nullopt;
  const bool data_is_left = !form->left.Uses(roles.column);
  const Access& data = data_is_left ? form->left : form->right;
  const Access& weights = data_is_left ? form->right : form->left;
  if (data.Uses(roles.column) || !weights.Uses(roles.column)) return std::nullopt;
  // `prepare` combines them, and knows no run-time sizes.
  const Buffer* constant = input.nest.FindBuffer(weights.tensor);
  if (constant == nullptr || constant->role != BufferRole::kConstant) return std::nullopt;
  roles.data = data.tensor;

  // The combinations run along what is summed: the data must have it side by side.
  const LayoutDim last = LayoutOf(input.nest, data.tensor).dims.back();
  const Expr& along = data.indices[last.dim];
  if (along.kind() != ExprKind::kVar || !input.anchor->IsReduceLoop(along->name)) {
    return std::nullopt;
  }
  roles.sum = along->name;
  roles.data_sum = last.dim;
  const int64_t sums = extent(roles.sum);
  const int64_t run = last.modulus > 0 ? last.modulus : lanes;
  if (last.divisor != 1 || run % lanes != 0 || sums % (2 * run) != 0) return std::nullopt;
  if (!IsLargeEnough(static_cast<double>(extent(roles.column)), static_cast<double>(sums))) {
    return std::nullopt;
  }

  // The outermost dim of rows that leaves strips small.
  std::vector<std::string> dims;
  for (const std::string& dim : order.dims) {
    if (roles.anchor_dim[dim].empty()) return std::nullopt;
    if (dim != roles.column_out) dims.push_back(dim);
  }
  int64_t rows = 1;
  for (const std::string& dim : dims) rows *= extent(roles.anchor_dim[dim]);
  if (rows < kRowsMin) return std::nullopt;
  for (auto dim = dims.begin(); dim != dims.end(); ++dim) {
    const std::string& row = roles.anchor_dim[*dim];
    int64_t inner_rows = 1;
    for (auto inner = dim + 1; inner != dims.end(); ++inner) {
      inner_rows *= extent(roles.anchor_dim[*inner]);
    }
    LoopNest trial = input.nest;
    if (inner_rows > kInnerRowsMax || extent(row) % 2 != 0 ||
        !Apply(StrassenStep{anchor.name, row, roles.column, roles.sum, lanes}, trial).ok()) {
      continue;
    }
    roles.row = row;
    roles.row_out = *dim;
    roles.outer_out.assign(dims.begin(), dim);
    roles.inner_out.assign(dim + 1, dims.end());
    roles.inner_rows = inner_rows;
    for (size_t i = 0; i < data.indices.size(); ++i) {
      if (UsesVar(data.indices[i], row)) roles.data_row = i;
    }
    return roles;
  }
  return std::nullopt;
}

// "strassen", "strassen_groups"
std::string NameOf(Share share) { return share == Share::kGroups ? "strassen_groups" : "strassen"; }

class StrassenSketch {
 public:
  StrassenSketch(const RuleInput& input, const Roles& roles, Share share)
      : input_(input),
        roles_(roles),
        share_(share),
        nest_(input.nest),
        result_(input.anchor->stage.name),
        writer_(input.begin.Continue(NameOf(share))) {}

  std::vector<Sketch> Write() {
    WriteAlgorithm();
    WriteWeights();
    WriteResults();
    WriteData();
    return WriteProducts();
  }

 private:
  const std::string& y() const { return input_.output->stage.name; }
  std::string data() const { return result_ + ".d"; }
  std::string weights() const { return result_ + ".g"; }
  std::string products() const { return result_ + ".m"; }
  std::string point() const { return roles_.row + ".p"; }
  int64_t lanes() const { return input_.target.FloatLanes(); }
  bool threads() const { return input_.target.threads > 1; }
  int64_t Extent(const std::string& dim) const {
    return DimExtent(input_.nest, *input_.anchor, dim);
  }

  // A step on the nest, and its line.
  void Do(const Step& step) {
    const Status status = Apply(step, nest_);
    HONE_CHECK(status.ok()) << ToString(step) << ": " << status.ToString();
    writer_.Line(ToString(step));
  }

  // The layouts: points outermost, then as the boundary has it.
  void WriteAlgorithm() {
    Do(StrassenStep{result_, roles_.row, roles_.column, roles_.sum, lanes()});
    Do(InlineStep{result_});
    Do(PrepareStep{weights()});
    Layout layout = Layout::Identity(1);
    for (LayoutDim part : LayoutOf(nest_, roles_.data).dims) {
      ++part.dim;
      layout.dims.push_back(part);
    }
    Do(LayoutStep{data(), layout});
    const Stage& stage = nest_.FindStage(products())->stage;
    layout = Layout::Identity(1);
    for (LayoutDim part : LayoutOf(nest_, y()).dims) {
      const std::string& name = input_.output->stage.dims[part.dim].name;
      const auto dim = std::find_if(stage.dims.begin(), stage.dims.end(), [&](const Dim& d) {
        return d.name == roles_.anchor_dim.at(name);
      });
      part.dim = static_cast<int>(dim - stage.dims.begin());
      layout.dims.push_back(part);
    }
    Do(LayoutStep{products(), layout});
  }

  // Panels of one vector: a product's tile of several reads as many streams.
  void WriteWeights() {
    const Stage& stage = nest_.FindStage(weights())->stage;
    int panel = -1;
    for (const Access& access : AccessesOf(nest_.FindStage(products())->stage.body)) {
      if (access.tensor == weights()) panel = access.PlainIndexOf(roles_.column);
    }
    HONE_CHECK(panel > 0) << products() << " reads " << weights() << " along no column";
    const std::string& column = stage.dims[panel].name;
    Layout layout = Layout::Identity(1);
    layout.dims.push_back({panel, lanes()});
    std::vector<std::string> loops = {column + ".0"};
    for (int i = 1; i < static_cast<int>(stage.dims.size()); ++i) {
      if (i == panel) continue;
      layout.dims.push_back({i});
      loops.push_back(stage.dims[i].name);
    }
    layout.dims.push_back({panel, 1, lanes()});
    loops.insert(loops.end(), {point(), column + ".1"});
    Do(LayoutStep{weights(), layout});
    writer_.Line("tile ", weights(), " ", column, " ", lanes());
    writer_.Line("reorder ", weights(), " ", absl::StrJoin(loops, " "));
    writer_.Line("unroll ", weights(), " ", point());
    writer_.Line("vectorize ", weights(), " ", column, ".1");
  }

  // The output: strips, groups, pairs of rows, vectors; the four quarters beside each other.
  void WriteResults() {
    const std::string& column = roles_.column_out;
    const std::string& row = roles_.row_out;
    const int64_t pairs = Extent(roles_.row) / 2;
    std::vector<int64_t> strips;
    for (int64_t count = 1; count <= pairs; ++count) {
      const bool fits = count == 1 || count * roles_.inner_rows <= kStripRowsMax;
      if (pairs % count == 0 && fits) strips.push_back(2 * count);
    }
    const int64_t columns = Extent(roles_.column);
    std::vector<int64_t> groups;
    for (int64_t group = 2 * lanes(); group < columns; group *= 2) {
      if (columns % group == 0) groups.push_back(group);
    }
    groups.push_back(columns);
    writer_.Line("tile ", y(), " ", column, " ", writer_.Hole("group", groups));
    writer_.Line("tile ", y(), " ", column, ".1 ", 2 * lanes());
    writer_.Line("tile ", y(), " ", column, ".1.1 ", lanes());
    writer_.Line("tile ", y(), " ", row, " ", writer_.Hole("strip", strips));
    writer_.Line("tile ", y(), " ", row, ".1 2");
    std::vector<std::string> shared = roles_.outer_out;
    shared.push_back(row + ".0");
    strip_loop_ = shared.back();
    group_loop_ = column + ".0";
    if (share_ == Share::kGroups) shared.push_back(group_loop_);
    std::vector<std::string> loops = shared;
    if (share_ != Share::kGroups) loops.push_back(group_loop_);
    loops.push_back(row + ".1.0");
    loops.insert(loops.end(), roles_.inner_out.begin(), roles_.inner_out.end());
    loops.insert(loops.end(),
                 {column + ".1.0", row + ".1.1", column + ".1.1.0", column + ".1.1.1"});
    writer_.Line("reorder ", y(), " ", absl::StrJoin(loops, " "));
    writer_.Line("unroll ", y(), " ", row, ".1.1");
    writer_.Line("unroll ", y(), " ", column, ".1.1.0");
    writer_.Line("vectorize ", y(), " ", column, ".1.1.1");
    if (threads()) {
      const std::string fused = writer_.FuseParallel(y(), shared);
      strip_loop_ = fused;
      if (share_ == Share::kGroups) group_loop_ = fused;
    }
    Do(AccumulateStep{products()});
    writer_.Line("at ", products(), " ", y(), " ", group_loop_);
  }

  // The combinations, a strip at a time, in the data's own order.
  void WriteData() {
    const std::string sum = absl::StrCat("d", roles_.data_sum);
    std::vector<std::string> loops;
    for (const LayoutDim& part : LayoutOf(input_.nest, roles_.data).dims) {
      const bool is_sum = static_cast<size_t>(part.dim) == roles_.data_sum;
      const std::string loop = is_sum ? sum + ".0" : absl::StrCat("d", part.dim);
      if (std::find(loops.begin(), loops.end(), loop) == loops.end()) loops.push_back(loop);
    }
    loops.insert(loops.end(), {point(), sum + ".1"});
    writer_.Line("tile ", data(), " ", sum, " ", lanes());
    writer_.Line("reorder ", data(), " ", absl::StrJoin(loops, " "));
    writer_.Line("unroll ", data(), " ", point());
    writer_.Line("vectorize ", data(), " ", sum, ".1");
    if (share_ == Share::kStrips) {
      // Legal once the products have their place.
      writer_.LastLine("at ", data(), " ", y(), " ", strip_loop_);
    } else {
      writer_.FuseParallel(data(), {loops.begin(), loops.end() - 2});
    }
  }

  std::vector<Sketch> WriteProducts() {
    Target one_thread = input_.target;
    one_thread.threads = 1;  // the strips or groups around have them all
    RuleInput input{nest_, one_thread, writer_};
    input.output = nest_.FindStage(products());
    input.anchor = nest_.FindStage(products() + ".a");
    return ContractionRule(input);
  }

  const RuleInput& input_;
  const Roles& roles_;
  const Share share_;
  LoopNest nest_;
  const std::string result_;
  SketchWriter writer_;
  std::string strip_loop_, group_loop_;  // of the output
};

}  // namespace

std::vector<Sketch> StrassenRule(const RuleInput& input) {
  if (!AllowsStrassen(input.numerics)) return {};
  const std::optional<Roles> roles = FindRoles(input);
  if (!roles) return {};
  std::vector<Sketch> sketches;
  for (Share share : {Share::kStrips, Share::kGroups}) {
    if (share == Share::kGroups && input.target.threads <= 1) continue;
    for (Sketch& sketch : StrassenSketch(input, *roles, share).Write()) {
      sketches.push_back(std::move(sketch));
    }
  }
  return sketches;
}

}  // namespace hone
