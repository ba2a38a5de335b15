// Convolutions of stride 1 by Winograd's F(2,3) and F(4,3), along one dim or two: strips of tiles,
// small enough that their transformed data and products stay in the second cache.
//
//   strip                    of the first tiled dim
//     prologue               what computes the data, if it is not read from memory
//     data transform         of all reduced channels
//     group                  of output channels
//       products             a contraction for each point, nested as ContractionRule does
//       tile by tile         result transform and epilogue
//
// With a matrix unit, the products may be those of bf16 parts: TileRule's. The last data transform
// is then the body of the copy that splits its values: they are in registers only. Tiles may take
// rows of several lines of a strip as one.
//
// Sums of bytes are exact: their transformed operands have 16 bits, and products are DotRule's.
//
// The error grows fast with the tile; the numerics class says which tiles there are.
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

constexpr int64_t kTiles[] = {2, 4};
constexpr int64_t kTaps = 3;
constexpr size_t kTiledDimsMax = 2;  // as WriteInnerResult has it

// What threads share: strips, or groups of channels where there are few strips.
enum class Share { kStrips, kGroups };

// What computes the products. Tiles multiply bf16 parts, and those of F(2,3) alone. A result then
// takes 24 products of parts where 6 terms are kept (54 without Winograd), 12 where 3 are (27).
// F(4,3) would have to keep 6 to stay within class fast: 13.5. (With 3 its error was 112 times that
// of sequential fp32 over 64 channels, where 64 times are allowed; that of F(2,3) is 18.)
enum class Unit { kVectors, kTiles };

// Dims are named as in the anchor and, with `_out`, as in the output.
struct Roles {
  std::string panel, panel_out;                   // vectors run along it
  std::vector<std::string> tiled, tiled_out;      // outermost first
  std::vector<std::string> outer, outer_out;      // all others of the output, as memory has them
  std::map<std::string, std::string> anchor_dim;  // by the output's dim
  std::string data;                               // tensor
  std::vector<size_t> data_at;                    // the data's index of each tiled dim
  size_t data_panel = 0;                          // the data's index that vectors run along
  int64_t data_lanes = 0;                         // of them, transformed
};

bool IsInteger(const RuleInput& input) { return input.anchor->stage.dtype == DType::kI32; }

// Whether the anchor is a convolution of stride 1 and three taps along the dim.
bool CanTile(const RuleInput& input, const std::string& dim) {
  LoopNest trial = input.nest;
  const std::string& anchor = input.anchor->stage.name;
  if (!Apply(WinogradStep{anchor, dim, kTiles[0]}, trial).ok()) return false;
  return trial.FindStage(anchor + ".d")->stage.dims[0].extent.IsInt(kTiles[0] + kTaps - 1);
}

std::optional<Roles> FindRoles(const RuleInput& input) {
  if (input.anchor == nullptr) return std::nullopt;
  const bool is_float = input.anchor->stage.dtype == DType::kF32;
  if (!is_float && !(IsInteger(input) && input.producers.empty())) return std::nullopt;
  const Stage& anchor = input.anchor->stage;
  const std::optional<ContractionForm> form = MatchContractionForm(anchor);
  if (!form) return std::nullopt;
  const int64_t lanes = input.target.FloatLanes();
  Roles roles;
  roles.anchor_dim = AnchorDims(input);
  const OutputOrder order = OrderOf(input.nest, *input.output);
  roles.panel_out = order.vector_dim;
  roles.panel = roles.anchor_dim[order.vector_dim];
  if (roles.panel.empty() || DimExtent(input.nest, *input.anchor, roles.panel) % lanes != 0) {
    return std::nullopt;
  }
  for (auto dim = order.dims.rbegin(); dim != order.dims.rend(); ++dim) {
    if (*dim == roles.panel_out) continue;
    const std::string inner = roles.anchor_dim[*dim];
    if (inner.empty()) return std::nullopt;
    const bool tile = roles.tiled.size() < kTiledDimsMax && CanTile(input, inner);
    std::vector<std::string>& names = tile ? roles.tiled : roles.outer;
    std::vector<std::string>& names_out = tile ? roles.tiled_out : roles.outer_out;
    names.insert(names.begin(), inner);
    names_out.insert(names_out.begin(), *dim);
  }
  if (roles.tiled.empty()) return std::nullopt;

  const bool data_is_left = form->left.Uses(roles.tiled[0]);
  const Access& data = data_is_left ? form->left : form->right;
  const Access& weights = data_is_left ? form->right : form->left;
  const Buffer* constant = input.nest.FindBuffer(weights.tensor);
  if (constant == nullptr || constant->role != BufferRole::kConstant) return std::nullopt;
  // `prepare` transforms them, and knows no run-time sizes.
  for (const Expr& extent : constant->shape) {
    if (!extent.IsInt()) return std::nullopt;
  }
  if (!weights.Uses(roles.panel) || data.Uses(roles.panel)) return std::nullopt;
  roles.data = data.tensor;
  for (const std::string& dim : roles.tiled) {
    for (size_t i = 0; i < data.indices.size(); ++i) {
      if (UsesVar(data.indices[i], dim)) roles.data_at.push_back(i);
    }
  }
  // The transforms run along channels: the data must have them side by side.
  const LayoutDim last = LayoutOf(input.nest, data.tensor).dims.back();
  const Expr& along = data.indices[last.dim];
  if (along.kind() != ExprKind::kVar || !input.anchor->IsReduceLoop(along->name)) {
    return std::nullopt;
  }
  const int64_t run =
      last.modulus > 0 ? last.modulus : DimExtent(input.nest, *input.anchor, along->name);
  if (last.divisor != 1 || run % lanes != 0) return std::nullopt;
  roles.data_panel = last.dim;
  roles.data_lanes = lanes;
  if (!IsInteger(input)) return roles;
  // Transformed integers are of 16 bits; pairs of their products are what dots sum, in place.
  if (run % (2 * lanes) == 0) roles.data_lanes = 2 * lanes;
  LoopNest trial = input.nest;
  std::string products = anchor.name;
  for (const std::string& dim : roles.tiled) {
    if (!Apply(WinogradStep{products, dim, kTiles[0]}, trial).ok()) return std::nullopt;
    products += ".m";
  }
  for (const Access& access : AccessesOf(trial.FindStage(products)->stage.body)) {
    if (access.padded) return std::nullopt;
  }
  return roles;
}

// "winograd", "winograd4_groups"
std::string NameOf(int64_t tile, Share share) {
  return absl::StrCat("winograd", tile == kTiles[0] ? "" : absl::StrCat(tile),
                      share == Share::kGroups ? "_groups" : "");
}

class WinogradSketch {
 public:
  WinogradSketch(const RuleInput& input, const Roles& roles, int64_t tile, Share share, Unit unit)
      : input_(input),
        roles_(roles),
        tile_(tile),
        share_(share),
        unit_(unit),
        nest_(input.nest),
        writer_((share == Share::kStrips ? input.begin_near : input.begin)
                    .Continue(NameOf(tile, share))) {}

  std::vector<Sketch> Write() {
    WriteAlgorithm();
    WriteLayouts();
    WriteWeights();
    WriteResults();
    WriteData();
    if (share_ == Share::kStrips) WriteProducers();
    return WriteProducts();
  }

 private:
  const std::string& y() const { return input_.output->stage.name; }
  int64_t lanes() const { return input_.target.FloatLanes(); }
  bool threads() const { return input_.target.threads > 1; }
  size_t depth() const { return roles_.tiled.size(); }
  int64_t TilesAlong(size_t s) const {
    return (DimExtent(input_.nest, *input_.anchor, roles_.tiled[s]) + tile_ - 1) / tile_;
  }
  // What the data's index `i` is called in the data transform of tiled dim `s`.
  static std::string DataDim(size_t s, size_t i) { return absl::StrCat("d", i + s); }

  // Whether a tile is transformed back along all dims at once: what lies between, and the values it
  // is made of, are few vectors then, each of which code generation computes once.
  bool StaysInRegisters() const { return tile_ == kTiles[0]; }

  // Whether the data transform of tiled dim `s` is done by what copies it for the matrix unit.
  bool IsBodyOfCopy(size_t s) const { return unit_ == Unit::kTiles && s + 1 == depth(); }

  // A step on the nest, and its line.
  void Do(const Step& step) {
    const Status status = Apply(step, nest_);
    HONE_CHECK(status.ok()) << ToString(step) << ": " << status.ToString();
    writer_.Line(ToString(step));
  }

  void WriteAlgorithm() {
    products_ = input_.anchor->stage.name;
    for (const std::string& dim : roles_.tiled) {
      results_.push_back(products_);
      Do(WinogradStep{products_, dim, tile_});
      products_ += ".m";
    }
    for (size_t s = 0; s < (StaysInRegisters() ? depth() : 1); ++s) Do(InlineStep{results_[s]});
    for (const std::string& stage : results_) Do(PrepareStep{stage + ".g"});
  }

  // Points outermost, then as the boundary has it.
  void WriteLayouts() {
    const Layout data = LayoutOf(nest_, roles_.data);
    for (size_t s = 0; s < depth(); ++s) {
      Layout layout = Layout::Identity(static_cast<int>(s + 1));
      for (LayoutDim part : data.dims) {
        part.dim += static_cast<int>(s + 1);
        layout.dims.push_back(part);
      }
      const LayoutStep step{results_[s] + ".d", layout};
      if (IsBodyOfCopy(s)) {
        // Says no more than how the vectors run that it is made of.
        HONE_CHECK(Apply(step, nest_).ok());
      } else {
        Do(step);
      }
    }
    const Stage& products = nest_.FindStage(products_)->stage;
    Layout layout = Layout::Identity(static_cast<int>(depth()));
    for (LayoutDim part : LayoutOf(nest_, y()).dims) {
      part.dim =
          PositionOf(products, roles_.anchor_dim.at(input_.output->stage.dims[part.dim].name));
      layout.dims.push_back(part);
    }
    Do(LayoutStep{products_, layout});
  }

  static int PositionOf(const Stage& stage, absl::string_view dim) {
    for (size_t d = 0; d < stage.dims.size(); ++d) {
      if (stage.dims[d].name == dim) return static_cast<int>(d);
    }
    HONE_CHECK(false) << "no dimension " << std::string(dim);
    return 0;
  }

  // The one access of a stage's body to a tensor.
  Access AccessOf(const std::string& stage, const std::string& tensor) const {
    for (const Access& access : AccessesOf(nest_.FindStage(stage)->stage.body)) {
      if (access.tensor == tensor) return access;
    }
    HONE_CHECK(false) << stage << " does not read " << tensor;
    return {};
  }

  // Panels of one vector: a product's tile of several reads as many streams. The transform is done
  // once, in `prepare`, but every candidate that is measured does it: vectors run along the panel,
  // its own points are written out, and one dim's transform is made just before the next one's
  // reads it. The window that is left stays a loop: its gathers are what takes long to compile.
  void WriteWeights() {
    std::string reader = products_;
    std::string panel_dim = roles_.panel;
    std::string place;
    for (size_t s = depth(); s-- > 0;) {
      const std::string weights = results_[s] + ".g";
      const bool is_read_by_products = s + 1 == depth();
      const Access access = AccessOf(reader, weights);
      const Stage& stage = nest_.FindStage(weights)->stage;
      const int panel = access.PlainIndexOf(panel_dim);
      panel_dim = stage.dims[panel].name;
      std::vector<std::string> earlier_points, others;
      std::vector<int> order;
      for (int i = 0; i < static_cast<int>(stage.dims.size()); ++i) {
        if (i == panel) continue;
        const bool is_point = i <= static_cast<int>(s);
        if (i > 0) (is_point ? earlier_points : others).push_back(stage.dims[i].name);
        order.push_back(i);
      }
      if (is_read_by_products) {
        Layout layout = Layout::Identity(static_cast<int>(s + 1));
        layout.dims.push_back({panel, lanes()});
        for (int i : order) {
          if (i > static_cast<int>(s)) layout.dims.push_back({i});
        }
        layout.dims.push_back({panel, 1, lanes()});
        Do(LayoutStep{weights, layout});
        writer_.Line("tile ", weights, " ", panel_dim, " ", lanes());
        others.insert(others.begin(), panel_dim + ".0");
        place = others.back();
      } else {
        writer_.Line("layout ", weights, " ", absl::StrJoin(order, ","), ",", panel);
        writer_.Line("at ", weights, " ", reader, " ", place);
      }
      const std::string vector = panel_dim + (is_read_by_products ? ".1" : "");
      others.insert(others.end(), earlier_points.begin(), earlier_points.end());
      const std::string& own_point = stage.dims[0].name;
      writer_.Line("reorder ", weights, " ", absl::StrJoin(others, " "), " ", own_point, " ",
                   vector);
      writer_.Line("unroll ", weights, " ", own_point);
      writer_.Line("vectorize ", weights, " ", vector);
      reader = weights;
    }
  }

  // The output: strips, groups, tiles; the inner result transform beside each tile.
  void WriteResults() {
    const std::string& panel = roles_.panel_out;
    const std::string& first = roles_.tiled_out[0];
    const int64_t tiles = TilesAlong(0);
    std::vector<int64_t> strips;
    for (int64_t rows = 1; rows <= tiles; ++rows) {
      if (tiles % rows == 0) strips.push_back(rows);
    }
    const int64_t channels = DimExtent(input_.nest, *input_.anchor, roles_.panel);
    // A matrix unit's tiles reach beyond what ends before its dim does: groups, and strips where
    // they cut the dim that its rows may be.
    const bool are_tiles = unit_ == Unit::kTiles;
    if (are_tiles && (depth() == 1 || TilesAlong(1) < kTileRowsMin)) strips = {tiles};
    std::vector<int64_t> groups;
    for (int64_t group = lanes(); group < channels && !are_tiles; group *= 2) {
      if (channels % group == 0) groups.push_back(group);
    }
    groups.push_back(channels);
    writer_.Line("tile ", y(), " ", panel, " ", writer_.Hole("group", groups));
    writer_.Line("tile ", y(), " ", panel, ".1 ", lanes());
    // Strips of whole tiles, so that their size changes no code. Tiles that are not all whole would
    // bring a strip of their own.
    const bool is_even = DimExtent(input_.nest, *input_.anchor, roles_.tiled[0]) % tile_ == 0;
    strips_ = strips;
    if (!is_even) {
      for (int64_t& rows : strips) rows *= tile_;
    }
    strip_tiles_ = is_even ? "strip" : absl::StrCat("floordiv(strip,", tile_, ")");
    const std::string strip = writer_.Hole("strip", strips);
    const std::string row_tile = first + (is_even ? ".0.1" : ".1.0");
    const std::string row = first + (is_even ? ".1" : ".1.1");
    if (is_even) {
      writer_.Line("tile ", y(), " ", first, " ", tile_);
      writer_.Line("tile ", y(), " ", first, ".0 ", strip);
    } else {
      writer_.Line("tile ", y(), " ", first, " ", strip);
      writer_.Line("tile ", y(), " ", first, ".1 ", tile_);
    }
    std::vector<std::string> shared = roles_.outer_out;
    shared.push_back(first + (is_even ? ".0.0" : ".0"));
    strip_loop_ = shared.back();
    group_loop_ = panel + ".0";
    if (share_ == Share::kGroups) shared.push_back(group_loop_);
    std::vector<std::string> loops = shared;
    if (share_ != Share::kGroups) loops.push_back(group_loop_);
    loops.push_back(panel + ".1.0");
    loops.push_back(row_tile);
    std::vector<std::string> inside = {row};
    for (size_t s = 1; s < depth(); ++s) {
      writer_.Line("tile ", y(), " ", roles_.tiled_out[s], " ", tile_);
      loops.push_back(roles_.tiled_out[s] + ".0");
      inside.push_back(roles_.tiled_out[s] + ".1");
    }
    const std::string tile_loop = loops.back();
    writer_.Line("reorder ", y(), " ", absl::StrJoin(loops, " "), " ", absl::StrJoin(inside, " "),
                 " ", panel, ".1.1");
    for (const std::string& loop : inside) writer_.Line("unroll ", y(), " ", loop);
    writer_.Line("vectorize ", y(), " ", panel, ".1.1");
    if (threads()) {
      const std::string fused = writer_.FuseParallel(y(), shared);
      strip_loop_ = fused;
      if (share_ == Share::kGroups) group_loop_ = fused;
    }
    if (depth() == kTiledDimsMax && !StaysInRegisters()) WriteInnerResult(tile_loop);
    Do(AccumulateStep{products_});
    writer_.Line("at ", products_, " ", y(), " ", group_loop_);
  }

  // Two tiled dims: the inner one is transformed back beside each tile.
  void WriteInnerResult(const std::string& tile_loop) {
    const std::string& stage = results_[1];
    const std::string point = roles_.tiled[0] + ".k";
    std::vector<std::string> loops = roles_.outer;
    loops.insert(loops.end(), {roles_.tiled[0], point, roles_.tiled[1], roles_.panel});
    const Stage& nest = nest_.FindStage(stage)->stage;
    std::vector<std::string> places;
    for (const std::string& loop : loops) places.push_back(absl::StrCat(PositionOf(nest, loop)));
    writer_.Line("layout ", stage, " ", absl::StrJoin(places, ","));
    writer_.Line("at ", stage, " ", y(), " ", tile_loop);
    writer_.Line("reorder ", stage, " ", absl::StrJoin(loops, " "));
    writer_.Line("unroll ", stage, " ", point);
    writer_.Line("unroll ", stage, " ", roles_.tiled[1]);
    writer_.Line("vectorize ", stage, " ", roles_.panel);
  }

  // The data transforms: the last one per strip, each before it just ahead of where it is read.
  void WriteData() {
    const Layout layout = LayoutOf(input_.nest, roles_.data);
    const size_t last = depth() - 1;
    for (size_t s = depth(); s-- > 0;) {
      if (IsBodyOfCopy(s)) continue;
      const std::string stage = results_[s] + ".d";
      const std::string panel = DataDim(s, roles_.data_panel);
      // The copy takes blocks of several vectors.
      const bool in_blocks = s == last || IsBodyOfCopy(s + 1);
      std::vector<std::string> loops;
      for (const LayoutDim& part : layout.dims) {
        const bool is_tiled = std::find(roles_.data_at.begin(), roles_.data_at.end(),
                                        static_cast<size_t>(part.dim)) != roles_.data_at.end();
        if (is_tiled || (static_cast<size_t>(part.dim) == roles_.data_panel)) continue;
        loops.push_back(DataDim(s, part.dim));
      }
      const size_t shared = loops.size() + 1;
      if (in_blocks) {
        writer_.Line("tile ", stage, " ", panel, " ", roles_.data_lanes);
        loops.push_back(panel + ".0");
      }
      for (size_t at : roles_.data_at) loops.push_back(DataDim(s, at));
      // Of the points, only the stage's own decide what is summed: these are written out.
      for (size_t t = 0; t < s; ++t) loops.push_back(absl::StrCat("d", t));
      const std::string own_point = roles_.tiled[s] + ".k";
      loops.push_back(own_point);
      loops.push_back(in_blocks ? panel + ".1" : panel);
      writer_.Line("reorder ", stage, " ", absl::StrJoin(loops, " "));
      writer_.Line("unroll ", stage, " ", own_point);
      writer_.Line("vectorize ", stage, " ", loops.back());
      if (s < last) {
        // Of one whose reader is the body of a copy, the copy's rule says where.
        if (in_blocks) continue;
        writer_.Line("at ", stage, " ", results_[s + 1], ".d ", DataDim(s + 1, roles_.data_at[0]));
      } else if (share_ == Share::kStrips) {
        // Legal once the products have their place.
        writer_.LastLine("at ", stage, " ", y(), " ", strip_loop_);
      } else {
        writer_.FuseParallel(stage, {loops.begin(), loops.begin() + shared});
      }
    }
  }

  // A prologue per strip, the border that strips share again. Readers first, as these have their
  // place by then.
  void WriteProducers() {
    for (auto p = input_.producers.rbegin(); p != input_.producers.rend(); ++p) {
      if ((*p)->placement == Placement::kPrepare) continue;
      writer_.LastLine("at ", (*p)->stage.name, " ", y(), " ", strip_loop_);
    }
  }

  std::vector<Sketch> WriteProducts() {
    Target one_thread = input_.target;
    one_thread.threads = 1;  // the strips or groups around have them all
    RuleInput input{nest_, one_thread, writer_};
    input.numerics = input_.numerics;
    input.output = nest_.FindStage(products_);
    input.anchor = nest_.FindStage(products_ + ".a");
    const bool are_dots = IsInteger(input_);
    if (unit_ == Unit::kVectors && !are_dots) return ContractionRule(input);
    input.producers.push_back(nest_.FindStage(results_.back() + ".g"));
    if (unit_ == Unit::kVectors) return DotRule(input);
    input.near = OperandPlace{.stage = results_.back() + ".d",
                              .host = y(),
                              .loop = strip_loop_,
                              .source = depth() > 1 ? results_[depth() - 2] + ".d" : "",
                              .strip_dim = roles_.tiled[0],
                              .strips = strips_,
                              .strip = strip_tiles_};
    return TileRule(input);
  }

  const RuleInput& input_;
  const Roles& roles_;
  const int64_t tile_;
  const Share share_;
  const Unit unit_;
  LoopNest nest_;
  SketchWriter writer_;
  std::vector<std::string> results_;  // the stage each tiled dim is transformed back in
  std::string products_;
  std::string strip_loop_, group_loop_;  // of the output
  std::vector<int64_t> strips_;          // tiles of the first tiled dim in a strip
  std::string strip_tiles_;              // the same, as the sketch says it
};

}  // namespace

std::vector<Sketch> WinogradRule(const RuleInput& input) {
  if (WinogradTileMax(input.numerics) == 0) return {};
  const std::optional<Roles> roles = FindRoles(input);
  if (!roles) return {};
  std::vector<Sketch> sketches;
  for (int64_t tile : kTiles) {
    if (tile > WinogradTileMax(input.numerics)) break;
    for (Share share : {Share::kStrips, Share::kGroups}) {
      if (share == Share::kGroups && input.target.threads <= 1) continue;
      for (const Unit unit : {Unit::kVectors, Unit::kTiles}) {
        if (IsInteger(input) && tile != kTiles[0]) continue;
        const bool tiles_apply =
            share == Share::kStrips && tile == kTiles[0] && input.producers.empty();
        if (unit == Unit::kTiles && !tiles_apply) continue;
        for (Sketch& sketch : WinogradSketch(input, *roles, tile, share, unit).Write()) {
          sketches.push_back(std::move(sketch));
        }
      }
    }
  }
  return sketches;
}

}  // namespace hone
