// A stage's loops are opened from the outside in. While they are, each axis (a dimension, a part of
// a tile, a fusion) has a range: one value where its loops are open, all it can have where not. The
// region of an attached stage is what its readers' index maps make of these ranges.
#include "compiler/lower/build_loops.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "compiler/ir/expr_text.h"
#include "compiler/lower/loop_ranges.h"

namespace hone {
namespace {

// What one prefetch brings.
constexpr int64_t kCacheLineBytes = 64;
// Rows and columns of a matrix unit's tile of sums.
constexpr int64_t kTilePoints = 16;

// [base, base + extent)
struct Span {
  Expr base;
  Expr extent;
};

// A stage whose loops are being opened.
struct OpenStage {
  const StageNest* nest = nullptr;
  std::map<std::string, Expr> base;           // of each dimension
  std::map<std::string, Expr> extent;         // of each dimension
  std::map<std::string, TileStretch> chosen;  // by tiled axis
  std::map<std::string, Expr> value;          // of each open loop
};

class LoopBuilder {
 public:
  explicit LoopBuilder(const LoopNest& nest) : nest_(nest), ranges_(ParamRanges(nest.params)) {}

  StatusOr<BuiltLoops> Build() {
    Program& program = built_.program;
    program.params = nest_.params;
    program.buffers = nest_.buffers;
    for (const Buffer& buffer : nest_.buffers) built_.layouts[buffer.name] = LayoutOf(buffer.name);
    std::vector<Stmt> prepare;
    std::vector<Stmt> run;
    for (const StageNest& stage : nest_.stages) {
      if (stage.placement == Placement::kAt) continue;
      const std::string& name = stage.stage.name;
      if (nest_.FindBuffer(name) == nullptr) {
        // A copy for padded reads covers more than what is copied.
        HONE_ASSIGN_OR_RETURN(std::vector<Span> region, RegionOf(stage));
        Buffer buffer{name, stage.stage.dtype};
        for (const Span& span : region) buffer.shape.push_back(span.extent);
        if (stage.placement == Placement::kPrepare) {
          buffer.scope = Scope::kArgument;
          buffer.role = BufferRole::kPrepared;
          program.buffers.push_back(buffer);
        } else {
          run.push_back(Allocate(buffer));
        }
        built_.layouts[name] = LayoutOf(name);
        instances_[name] = {name, region};
        HONE_ASSIGN_OR_RETURN(Stmt loops, BuildStage(stage, region));
        (stage.placement == Placement::kPrepare ? prepare : run).push_back(loops);
        continue;
      }
      std::vector<Span> whole;
      for (const Dim& dim : stage.stage.dims) whole.push_back({Int(0), dim.extent});
      instances_[name] = {name, whole};
      HONE_ASSIGN_OR_RETURN(Stmt loops, BuildStage(stage, whole));
      run.push_back(loops);
    }
    if (!prepare.empty()) program.prepare = Block(std::move(prepare));
    program.run = Block(std::move(run));
    return std::move(built_);
  }

 private:
  // Where a stage's values lie: the buffer, and which part of the stage's domain it holds.
  struct Instance {
    std::string buffer;
    std::vector<Span> region;
  };

  Status Illegal(const StageNest& stage, const std::string& what) const {
    return absl::InvalidArgumentError(absl::StrCat("stage '", stage.stage.name, "': ", what));
  }

  Layout LayoutOf(const std::string& name) const {
    auto found = nest_.layouts.find(name);
    if (found != nest_.layouts.end()) return found->second;
    return Layout::Identity(static_cast<int>(nest_.ShapeOf(name).size()));
  }

  std::string Unique(const std::string& name) {
    const int count = ++name_counts_[name];
    return count == 1 ? name : absl::StrCat(name, "@", count);
  }

  Expr Simple(const Expr& e) const { return Simplify(e, ranges_); }

  // --- Axes ------------------------------------------------------------------------------------

  static const TileSplit* TileOf(const StageNest& nest, const std::string& axis) {
    for (const TileSplit& tile : nest.tiles) {
      if (tile.axis == axis) return &tile;
    }
    return nullptr;
  }

  static const Fusion* FusionOf(const StageNest& nest, const std::string& part) {
    for (const Fusion& fusion : nest.fusions) {
      if (fusion.outer == part || fusion.inner == part) return &fusion;
    }
    return nullptr;
  }

  // Whether tiles of two sizes can share one loop: nothing wants to know how long the inner loop
  // is. It is an ordinary loop, and no stage is computed between the two.
  bool IsRagged(const StageNest& nest, const TileSplit& tile, const Expr& extent) const {
    if (!extent.IsInt()) return false;
    const std::string inner = tile.axis + ".1";
    const auto at = std::find(nest.order.begin(), nest.order.end(), inner);
    if (tile.multiple != 0 || at == nest.order.end() || nest.kinds.count(inner)) return false;
    const auto block = std::find(nest.order.begin(), nest.order.end(), nest.microkernel);
    if (block <= at && block != nest.order.end()) return false;
    const auto holds_outer = [&](const std::string& loop) {
      return Holds(nest, loop, tile.axis + ".0");
    };
    if (std::any_of(at, nest.order.end(), holds_outer)) return false;
    bool open = false;
    for (auto loop = nest.order.begin(); loop != at; ++loop) {
      open |= holds_outer(*loop);
      if (!open) continue;
      for (const StageNest& stage : nest_.stages) {
        if (stage.placement == Placement::kAt && stage.host == nest.stage.name &&
            stage.host_loop == *loop) {
          return false;
        }
      }
    }
    return open;
  }

  // Whether the loop is the axis, or a part or a fusion of it.
  static bool Holds(const StageNest& nest, const std::string& loop, const std::string& axis) {
    if (loop == axis) return true;
    for (const Fusion& fusion : nest.fusions) {
      if (fusion.name == loop) {
        return Holds(nest, fusion.outer, axis) || Holds(nest, fusion.inner, axis);
      }
    }
    for (const TileSplit& tile : nest.tiles) {
      if (loop == tile.axis + ".0" || loop == tile.axis + ".1") return Holds(nest, tile.axis, axis);
    }
    return false;
  }

  // The stretch of a tiled axis, if the choice is made or there is only one.
  StatusOr<TileStretch> StretchOf(OpenStage& s, const TileSplit& tile) {
    auto chosen = s.chosen.find(tile.axis);
    if (chosen != s.chosen.end()) return chosen->second;
    HONE_ASSIGN_OR_RETURN(Expr extent, ExtentOf(s, tile.axis));
    if (IsRagged(*s.nest, tile, extent)) {
      return RaggedStretch(extent->int_value, tile.size);
    }
    std::vector<TileStretch> stretches = TileStretches(extent, tile.size, tile.multiple);
    if (stretches.size() == 1) return s.chosen[tile.axis] = stretches[0];
    return Illegal(
        *s.nest, absl::StrCat("the tiles of '", tile.axis, "' are not all of one size; loop '",
                              tile.axis, ".0' must be outside '", tile.axis, ".1' and not fused"));
  }

  StatusOr<Expr> ExtentOf(OpenStage& s, const std::string& axis) {
    auto dim = s.extent.find(axis);
    if (dim != s.extent.end()) return dim->second;
    for (const Fusion& fusion : s.nest->fusions) {
      if (fusion.name != axis) continue;
      HONE_ASSIGN_OR_RETURN(Expr outer, ExtentOf(s, fusion.outer));
      HONE_ASSIGN_OR_RETURN(Expr inner, ExtentOf(s, fusion.inner));
      return Simple(outer * inner);
    }
    for (const TileSplit& tile : s.nest->tiles) {
      if (axis == tile.axis + ".0") {
        HONE_ASSIGN_OR_RETURN(TileStretch stretch, StretchOf(s, tile));
        return stretch.count;
      }
      if (axis == tile.axis + ".1") {
        HONE_ASSIGN_OR_RETURN(TileStretch stretch, StretchOf(s, tile));
        if (stretch.larger == 0) return Int(stretch.size);
        HONE_ASSIGN_OR_RETURN(Span outer, RangeOf(s, tile.axis + ".0"));
        if (!outer.extent.IsInt(1)) return Int(stretch.size + 1);
        return Simple(Max(Min(Int(stretch.larger) - outer.base, Int(1)), Int(0)) + stretch.size);
      }
    }
    HONE_CHECK(false) << "no axis " << axis;
    return Expr();
  }

  // Whether any loop of the axis is open.
  bool IsOpen(const OpenStage& s, const std::string& axis) const {
    if (s.value.count(axis)) return true;
    if (TileOf(*s.nest, axis)) return IsOpen(s, axis + ".0") || IsOpen(s, axis + ".1");
    if (const Fusion* fusion = FusionOf(*s.nest, axis)) return IsOpen(s, fusion->name);
    return false;
  }

  // What the axis ranges over, given the loops that are open.
  StatusOr<Span> RangeOf(OpenStage& s, const std::string& axis) {
    auto open = s.value.find(axis);
    if (open != s.value.end()) return Span{open->second, Int(1)};
    if (!IsOpen(s, axis)) {
      HONE_ASSIGN_OR_RETURN(Expr extent, ExtentOf(s, axis));
      return Span{Int(0), extent};
    }
    if (const TileSplit* tile = TileOf(*s.nest, axis)) {
      HONE_ASSIGN_OR_RETURN(TileStretch stretch, StretchOf(s, *tile));
      HONE_ASSIGN_OR_RETURN(Span outer, RangeOf(s, axis + ".0"));
      HONE_ASSIGN_OR_RETURN(Span inner, RangeOf(s, axis + ".1"));
      if (stretch.larger > 0) {
        if (!outer.extent.IsInt(1)) {
          return Illegal(*s.nest, absl::StrCat("the uneven tiles of '", axis,
                                               "' are wanted all at once; compute further in"));
        }
        return Span{
            Simple(outer.base * stretch.size + Min(outer.base, Int(stretch.larger)) + inner.base),
            inner.extent};
      }
      return Span{Simple(stretch.offset + outer.base * stretch.size + inner.base),
                  Simple((outer.extent - 1) * stretch.size + inner.extent)};
    }
    const Fusion* fusion = FusionOf(*s.nest, axis);
    HONE_CHECK(fusion != nullptr) << "axis " << axis << " is open and has no loop";
    HONE_ASSIGN_OR_RETURN(Span fused, RangeOf(s, fusion->name));
    if (!fused.extent.IsInt(1)) {
      return Illegal(*s.nest, absl::StrCat("a stage is computed inside a part of the fused loop '",
                                           fusion->name, "'; compute it inside all of it"));
    }
    HONE_ASSIGN_OR_RETURN(Expr inner, ExtentOf(s, fusion->inner));
    inner = Simple(inner);
    const bool is_outer = fusion->outer == axis;
    if (inner.IsInt(0)) return Span{Int(0), Int(1)};  // the loop never runs
    if (inner.IsInt()) {
      const int64_t size = inner->int_value;
      return Span{Simple(is_outer ? FloorDiv(fused.base, size) : FloorMod(fused.base, size)),
                  Int(1)};
    }
    const BinaryOp op = is_outer ? BinaryOp::kFloorDiv : BinaryOp::kFloorMod;
    return Span{Binary(op, fused.base, inner), Int(1)};
  }

  // --- Regions ---------------------------------------------------------------------------------

  // What every dimension of `reader` ranges over at this point of the program.
  StatusOr<std::map<std::string, Span>> DimRanges(const StageNest& reader) {
    std::map<std::string, Span> ranges;
    for (OpenStage* s : open_) {
      if (s->nest != &reader) continue;
      for (const std::vector<Dim>* dims : {&reader.stage.dims, &reader.stage.reduce}) {
        for (const Dim& dim : *dims) {
          HONE_ASSIGN_OR_RETURN(Span span, RangeOf(*s, dim.name));
          ranges[dim.name] = {Simple(s->base[dim.name] + span.base), span.extent};
        }
      }
      return ranges;
    }
    for (const Dim& dim : reader.stage.reduce) ranges[dim.name] = {Int(0), dim.extent};
    if (reader.placement == Placement::kAt ||
        (nest_.FindBuffer(reader.stage.name) == nullptr && reader.placement == Placement::kRoot)) {
      HONE_ASSIGN_OR_RETURN(std::vector<Span> region, RegionOf(reader));
      for (size_t d = 0; d < region.size(); ++d) ranges[reader.stage.dims[d].name] = region[d];
    } else {
      for (const Dim& dim : reader.stage.dims) ranges[dim.name] = {Int(0), dim.extent};
    }
    return ranges;
  }

  // The span of an index over the ranges of the dimensions in it; empty if it is neither linear in
  // them nor a floordiv of what is.
  std::optional<Span> IndexSpan(const Expr& index, const std::map<std::string, Span>& dims) const {
    LinearForm form = Linearize(index, {});
    Expr base = Int(form.constant);
    Expr extent = Int(1);
    for (const LinearForm::Term& term : form.terms) {
      std::optional<Span> span = AtomSpan(term.atom, dims);
      if (!span) return std::nullopt;
      const Expr first = term.coefficient > 0 ? span->base : span->base + span->extent - 1;
      base = base + first * term.coefficient;
      extent = extent + (span->extent - 1) * std::abs(term.coefficient);
    }
    return Span{Simple(base), Simple(extent)};
  }

  std::optional<Span> AtomSpan(const Expr& atom, const std::map<std::string, Span>& dims) const {
    if (atom.kind() == ExprKind::kVar) {
      auto dim = dims.find(atom->name);
      return dim == dims.end() ? Span{atom, Int(1)} : dim->second;  // else a parameter
    }
    if (atom.kind() != ExprKind::kBinary || atom->binary != BinaryOp::kFloorDiv ||
        !atom.arg(1).IsInt()) {
      return std::nullopt;
    }
    std::optional<Span> inner = IndexSpan(atom.arg(0), dims);
    if (!inner) return std::nullopt;
    const int64_t divisor = atom.arg(1)->int_value;
    // Points that begin on a multiple take fewest quotients; others may reach into one more.
    const bool aligned = Simple(FloorMod(inner->base, divisor)).IsInt(0);
    const Expr reach = inner->extent - 1 + (aligned ? 0 : divisor - 1);
    return Span{Simple(FloorDiv(inner->base, divisor)), Simple(FloorDiv(reach, divisor) + 1)};
  }

  // A load of a stage. Guarded ones may have indices outside of the stage's domain: they then give
  // their `otherwise`, or stand in an arm of a select that is not taken.
  struct Read {
    Expr load;
    bool guarded = false;
  };

  static void CollectReads(const Expr& e, const std::string& name, bool in_select,
                           std::vector<Read>* reads) {
    if (e.kind() == ExprKind::kLoad && e->name == name) {
      reads->push_back({e, in_select || e->has_otherwise});
    }
    for (size_t i = 0; i < e.args().size(); ++i) {
      const bool is_arm = e.kind() == ExprKind::kSelect && i > 0;
      CollectReads(e.args()[i], name, in_select || is_arm, reads);
    }
  }

  // Whether the stage is a copy that holds padding, or a copy of one: it has values outside of its
  // domain too.
  bool HoldsPadding(const Stage& stage) const {
    const Expr& load = stage.body.kind() == ExprKind::kCast ? stage.body.arg(0) : stage.body;
    if (load.kind() != ExprKind::kLoad) return false;
    if (load->has_otherwise) return true;
    const StageNest* copied = nest_.FindStage(load->name);
    return copied != nullptr && HoldsPadding(copied->stage);
  }

  // The part of the stage that its readers need at this point of the program.
  StatusOr<std::vector<Span>> RegionOf(const StageNest& stage) {
    const size_t rank = stage.stage.dims.size();
    std::vector<Span> region(rank);
    const bool holds_padding = HoldsPadding(stage.stage);
    for (const std::string& consumer : nest_.ConsumersOf(stage.stage.name)) {
      const StageNest& reader = *nest_.FindStage(consumer);
      HONE_ASSIGN_OR_RETURN(auto dims, DimRanges(reader));
      std::vector<Read> reads;
      CollectReads(reader.stage.body, stage.stage.name, /*in_select=*/false, &reads);
      for (const Read& read : reads) {
        const std::vector<Expr> indices = Indices(read.load);
        for (size_t d = 0; d < rank; ++d) {
          std::optional<Span> span = IndexSpan(indices[d], dims);
          const Span whole{Int(0), stage.stage.dims[d].extent};
          // Partly padding, or not read at all.
          const bool outside = read.guarded && (read.load->has_otherwise || !holds_padding);
          if (!span) span = whole;
          if (outside && !IsInside(*span, whole)) span = MovedInside(*span, whole);
          const Status extended = Extend(stage, *span, &region[d]);
          if (!extended.ok() && !outside) return extended;
          if (!extended.ok()) region[d] = whole;
        }
      }
    }
    for (size_t d = 0; d < rank; ++d) {
      if (!region[d].base) region[d] = {Int(0), stage.stage.dims[d].extent};
    }
    if (!stage.tile_intrinsic.empty()) HONE_RETURN_IF_ERROR(RoundUpToTiles(stage, &region));
    return region;
  }

  // Whether the stage's dim `d` counts rows or columns of tiles.
  static bool IsTiled(const StageNest& stage, size_t d) {
    const std::string& dim = stage.stage.dims[d].name;
    return dim == stage.order.back() || dim == stage.order[stage.order.size() - 2];
  }

  // A matrix unit computes whole tiles: the points beyond what is read are zeros or never used. Its
  // operands have room for them up to the next whole tile of the dim.
  Status RoundUpToTiles(const StageNest& stage, std::vector<Span>* region) const {
    for (size_t d = 0; d < region->size(); ++d) {
      Span& span = (*region)[d];
      const Expr& extent = stage.stage.dims[d].extent;
      if (!IsTiled(stage, d)) continue;
      if (!span.extent.IsInt() || !extent.IsInt()) {
        return Illegal(stage, absl::StrCat("its tiles of '", stage.stage.dims[d].name,
                                           "' have no fixed size"));
      }
      span.extent = Int(TileReach(span.extent->int_value));
      const std::optional<Interval> base = Bounds(span.base, ranges_);
      if (base && base->max + span.extent->int_value <= TileReach(extent->int_value)) continue;
      return Illegal(stage, absl::StrCat("its tiles of '", stage.stage.dims[d].name,
                                         "' reach beyond the last whole one; make them multiples "
                                         "of ",
                                         kTilePoints, " or equal"));
    }
    return absl::OkStatus();
  }

  static int64_t TileReach(int64_t points) {
    return (points + kTilePoints - 1) / kTilePoints * kTilePoints;
  }

  bool IsInside(const Span& span, const Span& whole) const {
    return Simple(LessEqual(whole.base, span.base)).IsInt(1) &&
           Simple(LessEqual(span.base + span.extent, whole.base + whole.extent)).IsInt(1);
  }

  // What is partly padding, moved to where it lies inside: it then holds all points of the stage
  // that it held, and a point that it held is outside of the stage when it is outside now.
  Span MovedInside(const Span& span, const Span& whole) const {
    if (!span.extent.IsInt() || !whole.extent.IsInt()) return whole;
    const int64_t extent = std::min(span.extent->int_value, whole.extent->int_value);
    return {Simple(Max(Min(span.base, whole.extent - extent), Int(0))), Int(extent)};
  }

  Status Extend(const StageNest& stage, const Span& span, Span* region) const {
    if (!region->base) {
      *region = span;
      return absl::OkStatus();
    }
    int64_t shift = 0;
    if (!ConstantDifference(span.base, region->base, ranges_, &shift)) {
      return Illegal(stage,
                     "its readers need regions that no one box holds here; compute it further out");
    }
    Expr end = Simple(Max(region->extent, span.extent + shift));
    if (shift < 0) {
      region->base = span.base;
      end = Simple(end - shift);
    }
    region->extent = end;
    return absl::OkStatus();
  }

  // --- Loops -----------------------------------------------------------------------------------

  StatusOr<Stmt> BuildStage(const StageNest& stage, const std::vector<Span>& region) {
    OpenStage s;
    s.nest = &stage;
    for (size_t d = 0; d < region.size(); ++d) {
      s.base[stage.stage.dims[d].name] = region[d].base;
      s.extent[stage.stage.dims[d].name] = region[d].extent;
    }
    for (const Dim& dim : stage.stage.reduce) {
      s.base[dim.name] = Int(0);
      s.extent[dim.name] = dim.extent;
    }
    open_.push_back(&s);
    auto loops = BuildLevel(s, 0, /*init=*/false);
    open_.pop_back();
    return loops;
  }

  // The loops from position `level` of the stage's order inwards. With `init`, only the loops that
  // do not reduce, around the store of the neutral value.
  StatusOr<Stmt> BuildLevel(OpenStage& s, size_t level, bool init) {
    const StageNest& nest = *s.nest;
    if (level == nest.order.size()) return init ? StoreNeutral(s) : StoreValue(s);
    const std::string& loop = nest.order[level];
    if (init && nest.IsReduceLoop(loop)) return BuildLevel(s, level + 1, init);
    std::vector<Stmt> parts;
    if (!init && nest.IsReduceLoop(loop) && IsFirstReduceLoop(nest, level)) {
      OpenStage copy = s;
      open_.back() = &copy;
      auto neutral = BuildLevel(copy, level, /*init=*/true);
      open_.back() = &s;
      HONE_RETURN_IF_ERROR(neutral.status());
      parts.push_back(nest.microkernel.empty()
                          ? *neutral
                          : WithIntrinsic(MarkStraightLine(*neutral), nest.tile_intrinsic));
    }
    if (nest.microkernel == loop && !init) HONE_RETURN_IF_ERROR(BuildPrefetches(s, &parts));
    HONE_ASSIGN_OR_RETURN(Stmt body, BuildLoop(s, level, init));
    parts.push_back(nest.microkernel == loop && !init
                        ? WithIntrinsic(MarkStraightLine(body), nest.tile_intrinsic)
                        : body);
    return Block(std::move(parts));
  }

  static bool IsFirstReduceLoop(const StageNest& nest, size_t level) {
    for (size_t i = 0; i < level; ++i) {
      if (nest.IsReduceLoop(nest.order[i])) return false;
    }
    return true;
  }

  static Stmt MarkStraightLine(const Stmt& s) {
    StmtNode node = *s;
    if (s.kind() == StmtKind::kBlock) {
      for (Stmt& child : node.body) child = MarkStraightLine(child);
    } else if (s.kind() == StmtKind::kFor) {
      node.straight_line = true;
    } else {
      return s;
    }
    return Stmt(std::move(node));
  }

  StatusOr<Stmt> BuildLoop(OpenStage& s, size_t level, bool init) {
    const std::string& loop = s.nest->order[level];
    HONE_ASSIGN_OR_RETURN(const TileSplit* undecided, UndecidedTile(s, loop));
    if (undecided == nullptr) {
      HONE_ASSIGN_OR_RETURN(Expr extent, ExtentOf(s, loop));
      return BuildFor(s, level, Simple(extent), init);
    }
    // One loop a stretch. A fusion may hold several tiles: each choice leaves one fewer.
    HONE_ASSIGN_OR_RETURN(Expr extent, ExtentOf(s, undecided->axis));
    std::vector<Stmt> stretches;
    for (const TileStretch& stretch : TileStretches(extent, undecided->size, undecided->multiple)) {
      s.chosen[undecided->axis] = stretch;
      HONE_ASSIGN_OR_RETURN(Stmt body, BuildLoop(s, level, init));
      stretches.push_back(body);
      s.chosen.erase(undecided->axis);
    }
    return Block(std::move(stretches));
  }

  // A tile whose outer loop is `loop`, or fused into it, and whose stretch is not chosen; null if
  // there is none.
  StatusOr<const TileSplit*> UndecidedTile(OpenStage& s, const std::string& loop) {
    for (const TileSplit& tile : s.nest->tiles) {
      if (loop != tile.axis + ".0" || s.chosen.count(tile.axis)) continue;
      // How many tiles there are of a part is known once its own stretch is.
      HONE_ASSIGN_OR_RETURN(const TileSplit* whole, UndecidedTile(s, tile.axis));
      if (whole != nullptr) return whole;
      HONE_ASSIGN_OR_RETURN(const Expr extent, ExtentOf(s, tile.axis));
      return IsRagged(*s.nest, tile, extent) ? nullptr : &tile;
    }
    for (const Fusion& fusion : s.nest->fusions) {
      if (fusion.name != loop) continue;
      HONE_ASSIGN_OR_RETURN(const TileSplit* outer, UndecidedTile(s, fusion.outer));
      return outer != nullptr ? outer : UndecidedTile(s, fusion.inner);
    }
    return nullptr;
  }

  StatusOr<Stmt> BuildFor(OpenStage& s, size_t level, const Expr& extent, bool init) {
    const std::string& loop = s.nest->order[level];
    const std::string var = Unique(absl::StrCat(s.nest->stage.name, ".", loop));
    const bool single = extent.IsInt(1);
    ScopedRange range(ranges_, var, extent);
    s.value[loop] = single ? Int(0) : Var(var);
    // Choices made inside concern this loop's iterations only.
    const std::map<std::string, TileStretch> chosen = s.chosen;
    auto body = BuildInside(s, level, init);
    s.chosen = chosen;
    s.value.erase(loop);
    HONE_RETURN_IF_ERROR(body.status());
    if (single) return body;
    auto kind = s.nest->kinds.find(loop);
    Stmt built =
        For(var, extent, kind == s.nest->kinds.end() ? LoopKind::kSerial : kind->second, *body);
    auto intrinsic = s.nest->intrinsics.find(loop);
    if (intrinsic == s.nest->intrinsics.end()) return built;
    // A group that is not full is left to plain arithmetic.
    if (!extent.IsInt(FindTensorIntrinsic(intrinsic->second)->group)) return built;
    StmtNode node = *built;
    node.intrinsic = intrinsic->second;
    return Stmt(std::move(node));
  }

  // The body of an opened loop: the stages computed in it, then the next loop.
  StatusOr<Stmt> BuildInside(OpenStage& s, size_t level, bool init) {
    std::vector<Stmt> parts;
    if (!init) {
      for (const StageNest& stage : nest_.stages) {
        if (stage.placement != Placement::kAt || stage.host != s.nest->stage.name ||
            stage.host_loop != s.nest->order[level]) {
          continue;
        }
        HONE_RETURN_IF_ERROR(BuildAttached(stage, &parts));
      }
    }
    auto inner = BuildLevel(s, level + 1, init);
    if (!init) EndAttached(s, s.nest->order[level]);
    HONE_RETURN_IF_ERROR(inner.status());
    parts.push_back(*inner);
    return Block(std::move(parts));
  }

  // The sums are in tiles while the loops run and then go to memory, which can be read point by
  // point.
  Status BuildInTiles(const StageNest& stage, const Buffer& buffer, const std::vector<Span>& region,
                      std::vector<Stmt>* parts) {
    Buffer tiles = buffer;
    tiles.name = Unique(buffer.name + ".t");
    tiles.scope = Scope::kTile;
    built_.layouts[tiles.name] = TileLayout(stage);
    const std::string& name = stage.stage.name;
    instances_[name] = {tiles.name, region};
    HONE_ASSIGN_OR_RETURN(Stmt loops, BuildStage(stage, region));
    std::vector<Expr> at;
    for (size_t d = 0; d < region.size(); ++d) {
      at.push_back(region[d].extent.IsInt(1)
                       ? Int(0)
                       : Var(Unique(absl::StrCat(tiles.name, ".", stage.stage.dims[d].name))));
    }
    Stmt copy = Store(buffer.name, at, Load(tiles.name, buffer.dtype, at));
    for (auto loop = stage.order.rbegin(); loop != stage.order.rend(); ++loop) {
      for (size_t d = 0; d < region.size(); ++d) {
        if (stage.stage.dims[d].name != *loop || at[d].IsInt()) continue;
        copy = For(at[d]->name, region[d].extent, LoopKind::kSerial, copy, /*straight_line=*/true);
      }
    }
    parts->push_back(Block({Allocate(tiles), loops, WithIntrinsic(copy, stage.tile_intrinsic)}));
    instances_[name] = {buffer.name, region};
    return absl::OkStatus();
  }

  // Tile after tile, each row by row.
  static Layout TileLayout(const StageNest& stage) {
    Layout layout;
    std::vector<LayoutDim> outer, inner;
    for (size_t d = 0; d < stage.stage.dims.size(); ++d) {
      const int dim = static_cast<int>(d);
      if (!IsTiled(stage, d)) {
        layout.dims.push_back({dim});
        continue;
      }
      const bool is_row = stage.stage.dims[d].name != stage.order.back();
      outer.insert(is_row ? outer.begin() : outer.end(), {dim, kTilePoints});
      inner.insert(is_row ? inner.begin() : inner.end(), {dim, 1, kTilePoints});
    }
    layout.dims.insert(layout.dims.end(), outer.begin(), outer.end());
    layout.dims.insert(layout.dims.end(), inner.begin(), inner.end());
    return layout;
  }

  static Stmt WithIntrinsic(const Stmt& loop, const std::string& intrinsic) {
    if (intrinsic.empty() || loop.kind() != StmtKind::kFor) return loop;
    StmtNode node = *loop;
    node.intrinsic = intrinsic;
    return Stmt(std::move(node));
  }

  // What was computed in a loop's body is not there outside of it.
  void EndAttached(const OpenStage& s, const std::string& loop) {
    for (const StageNest& stage : nest_.stages) {
      if (stage.placement == Placement::kAt && stage.host == s.nest->stage.name &&
          stage.host_loop == loop) {
        instances_.erase(stage.stage.name);
      }
    }
  }

  Status BuildAttached(const StageNest& stage, std::vector<Stmt>* parts) {
    const std::string& name = stage.stage.name;
    HONE_ASSIGN_OR_RETURN(std::vector<Span> region, RegionOf(stage));
    Buffer buffer{Unique(name), stage.stage.dtype};
    for (const Span& span : region) buffer.shape.push_back(span.extent);
    Layout layout = LayoutOf(name);
    if (!stage.tile_intrinsic.empty()) {
      built_.layouts[buffer.name] = layout;
      parts->push_back(Allocate(buffer));
      return BuildInTiles(stage, buffer, region, parts);
    }
    if (!stage.microkernel.empty()) {
      buffer.scope = Scope::kRegister;
      layout = RegisterLayout(stage);
      for (const Span& span : region) {
        if (!span.extent.IsInt()) return Illegal(stage, "its register tile has no fixed size");
      }
    }
    built_.layouts[buffer.name] = layout;
    parts->push_back(Allocate(buffer));
    instances_[name] = {buffer.name, region};
    HONE_ASSIGN_OR_RETURN(Stmt loops, BuildStage(stage, region));
    parts->push_back(loops);
    return absl::OkStatus();
  }

  // Registers hold neighbours along the vectorised dimension.
  Layout RegisterLayout(const StageNest& stage) const {
    Layout layout = Layout::Identity(static_cast<int>(stage.stage.dims.size()));
    for (size_t d = 0; d < stage.stage.dims.size(); ++d) {
      for (const auto& [loop, kind] : stage.kinds) {
        const std::string& dim = stage.stage.dims[d].name;
        if (kind != LoopKind::kVector || (loop != dim && loop.rfind(dim + ".", 0) != 0)) continue;
        std::swap(layout.dims[d], layout.dims.back());
        return layout;
      }
    }
    return layout;
  }

  // --- Bodies ----------------------------------------------------------------------------------

  // The value of every dimension at this point: its base and its place in the region.
  StatusOr<std::map<std::string, Expr>> DimValues(OpenStage& s, bool with_base, bool init) {
    std::map<std::string, Expr> values;
    for (const auto& [dim, base] : s.base) {
      bool reduces = false;
      for (const Dim& d : s.nest->stage.reduce) reduces |= d.name == dim;
      if (init && reduces) continue;
      HONE_ASSIGN_OR_RETURN(Span span, RangeOf(s, dim));
      HONE_CHECK(span.extent.IsInt(1)) << "dimension " << dim << " is not open";
      values[dim] = Simple(with_base ? base + span.base : span.base);
    }
    return values;
  }

  StatusOr<std::vector<Expr>> OwnIndices(OpenStage& s, bool init) {
    HONE_ASSIGN_OR_RETURN(auto places, DimValues(s, /*with_base=*/false, init));
    std::vector<Expr> indices;
    for (const Dim& dim : s.nest->stage.dims) indices.push_back(places[dim.name]);
    return indices;
  }

  // Asks for the cache lines that a later block reads, before a block begins.
  Status BuildPrefetches(OpenStage& s, std::vector<Stmt>* parts) {
    const Stage& stage = s.nest->stage;
    for (const auto& [buffer, blocks] : s.nest->prefetches) {
      Expr load;
      Visit(stage.body, [&, name = buffer](const Expr& e) {
        if (e.kind() == ExprKind::kLoad && e->name == name) load = e;
      });
      HONE_ASSIGN_OR_RETURN(auto dims, DimRanges(*s.nest));
      int64_t elements = 1;
      std::vector<Expr> first;
      auto instance = instances_.find(buffer);
      for (const Expr& index : Indices(load)) {
        std::optional<Span> span = IndexSpan(index, dims);
        if (!span || !span->extent.IsInt()) {
          return Illegal(*s.nest,
                         absl::StrCat("what a block reads of '", buffer, "' has no fixed size"));
        }
        const size_t d = first.size();
        elements *= span->extent->int_value;
        first.push_back(instance == instances_.end()
                            ? span->base
                            : Simple(span->base - instance->second.region[d].base));
      }
      const int64_t line = kCacheLineBytes / DTypeBytes(load.type().dtype);
      const std::string& memory = instance == instances_.end() ? buffer : instance->second.buffer;
      for (int64_t at = 0; at < elements; at += line) {
        parts->push_back(Prefetch(memory, first, Int(blocks * elements + at)));
      }
    }
    return absl::OkStatus();
  }

  StatusOr<Stmt> StoreNeutral(OpenStage& s) {
    HONE_ASSIGN_OR_RETURN(std::vector<Expr> indices, OwnIndices(s, /*init=*/true));
    const Stage& stage = s.nest->stage;
    return Store(instances_[stage.name].buffer, indices, NeutralValue(stage.combiner, stage.dtype));
  }

  StatusOr<Stmt> StoreValue(OpenStage& s) {
    const Stage& stage = s.nest->stage;
    HONE_ASSIGN_OR_RETURN(auto values, DimValues(s, /*with_base=*/true, /*init=*/false));
    HONE_ASSIGN_OR_RETURN(std::vector<Expr> indices, OwnIndices(s, /*init=*/false));
    std::string absent;
    Expr value = Rewrite(Substitute(stage.body, values), [&](const Expr& e) {
      if (e.kind() != ExprKind::kLoad) return Expr();
      auto instance = instances_.find(e->name);
      if (instance == instances_.end()) {
        if (nest_.FindBuffer(e->name) == nullptr) absent = e->name;
        return Expr();
      }
      std::vector<Expr> at = Indices(e);
      for (size_t d = 0; d < at.size(); ++d) {
        at[d] = Simple(at[d] - instance->second.region[d].base);
      }
      return Load(instance->second.buffer, e.type().dtype, std::move(at), Otherwise(e));
    });
    if (!absent.empty()) {
      return Illegal(
          *s.nest, absl::StrCat("it reads '", absent, "', which is computed further in or later"));
    }
    const std::string& buffer = instances_[stage.name].buffer;
    if (stage.combiner != Combiner::kNone) {
      value = Combine(stage.combiner, Load(buffer, stage.dtype, indices), value);
    }
    return Store(buffer, indices, value);
  }

  const LoopNest& nest_;
  Ranges ranges_;
  BuiltLoops built_;
  std::vector<OpenStage*> open_;
  std::map<std::string, Instance> instances_;
  std::map<std::string, int> name_counts_;
};

}  // namespace

StatusOr<BuiltLoops> BuildLoops(const LoopNest& nest) { return LoopBuilder(nest).Build(); }

}  // namespace hone
