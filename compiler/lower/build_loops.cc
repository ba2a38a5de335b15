#include "compiler/lower/build_loops.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "compiler/ir/tensor_intrinsic.h"
#include "compiler/lower/bounds_inference.h"
#include "compiler/lower/iteration_domain.h"
#include "compiler/lower/loop_ranges.h"
#include "compiler/lower/matrix_tiles.h"
#include "compiler/lower/scan_slots.h"
#include "compiler/lower/span.h"
#include "compiler/schedule/hilbert_curve.h"
#include "compiler/schedule/scan.h"

namespace hone {
namespace {

// What one prefetch brings.
constexpr int64_t kCacheLineBytes = 64;

// Opens the loops of each stage from the outside in and builds what they hold.
class LoopBuilder {
 public:
  explicit LoopBuilder(const LoopNest& nest)
      : nest_(nest), ranges_(ParamRanges(nest.params)), bounds_(nest, ranges_) {}

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
        HONE_ASSIGN_OR_RETURN(std::vector<Span> region, bounds_.RegionOf(stage));
        Buffer buffer{name, stage.stage.dtype};
        for (const Span& span : region) buffer.shape.push_back(span.extent);
        HONE_ASSIGN_OR_RETURN(const Instance instance, FoldSteps(stage, region, &buffer));
        if (stage.placement == Placement::kPrepare) {
          buffer.scope = Scope::kArgument;
          buffer.role = BufferRole::kPrepared;
          program.buffers.push_back(buffer);
        } else {
          run.push_back(Allocate(buffer));
        }
        built_.layouts[name] = LayoutOf(name);
        instances_[name] = instance;
        HONE_RETURN_IF_ERROR(BeginSteps(stage, buffer, &run));
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
    // Of a scan: the dim of its steps lies in so many slots; 0: whole.
    size_t steps = 0;
    int64_t slots = 0;

    // Where in the buffer the stage's index `at` of dim `d` lies.
    Expr Place(size_t d, const Expr& at) const {
      if (slots == 0 || d != steps) return at - region[d].base;
      return slots == 1 ? Int(0) : FloorMod(at, slots);
    }
  };

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

  // --- Loops -----------------------------------------------------------------------------------

  StatusOr<Stmt> BuildStage(const StageNest& stage, const std::vector<Span>& region) {
    IterationDomain domain(nest_, stage, region, ranges_);
    bounds_.Enter(domain);
    auto loops = BuildLevel(domain, 0, /*init=*/false);
    bounds_.Leave();
    return loops;
  }

  // The loops from position `level` of the stage's order inwards. With `init`, only the loops that
  // do not reduce, around the store of the neutral value.
  StatusOr<Stmt> BuildLevel(IterationDomain& domain, size_t level, bool init) {
    const StageNest& nest = domain.stage();
    if (level == nest.order.size()) return init ? StoreNeutral(domain) : StoreValue(domain);
    const std::string& loop = nest.order[level];
    if (init && nest.IsReduceLoop(loop)) return BuildLevel(domain, level + 1, init);
    std::vector<Stmt> parts;
    if (!init && nest.IsReduceLoop(loop) && IsFirstReduceLoop(nest, level)) {
      IterationDomain copy = domain;
      HONE_ASSIGN_OR_RETURN(Stmt neutral, BuildLevel(copy, level, /*init=*/true));
      parts.push_back(nest.microkernel.empty()
                          ? neutral
                          : WithIntrinsic(MarkStraightLine(neutral), nest.tile_intrinsic));
    }
    if (nest.microkernel == loop && !init) HONE_RETURN_IF_ERROR(BuildPrefetches(domain, &parts));
    HONE_ASSIGN_OR_RETURN(Stmt body, BuildLoop(domain, level, init));
    parts.push_back(
        nest.microkernel == loop && !init
            ? WithIntrinsic(MarkStraightLine(body), nest.tile_intrinsic, MemoryOf(nest.streams))
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

  StatusOr<Stmt> BuildLoop(IterationDomain& domain, size_t level, bool init) {
    const std::string& loop = domain.stage().order[level];
    HONE_ASSIGN_OR_RETURN(const TileSplit* undecided, domain.UndecidedTile(loop));
    if (undecided == nullptr) {
      HONE_ASSIGN_OR_RETURN(Expr extent, domain.ExtentOf(loop));
      return BuildFor(domain, level, Simple(extent), init);
    }
    // One loop a stretch. A fusion may hold several tiles: each choice leaves one fewer.
    HONE_ASSIGN_OR_RETURN(Expr extent, domain.ExtentOf(undecided->axis));
    std::vector<Stmt> stretches;
    for (const TileStretch& stretch : TileStretches(extent, undecided->size, undecided->multiple)) {
      domain.Choose(undecided->axis, stretch);
      HONE_ASSIGN_OR_RETURN(Stmt body, BuildLoop(domain, level, init));
      stretches.push_back(body);
      domain.Forget(undecided->axis);
    }
    return Block(std::move(stretches));
  }

  StatusOr<Stmt> BuildFor(IterationDomain& domain, size_t level, const Expr& extent, bool init) {
    const std::string& loop = domain.stage().order[level];
    const std::string var = Unique(absl::StrCat(domain.stage().stage.name, ".", loop));
    const bool single = extent.IsInt(1);
    ScopedRange range(ranges_, var, extent);
    IterationDomain::Stretches before = domain.Open(loop, single ? Int(0) : Var(var));
    auto body = BuildAlongCurves(domain, level, init);
    domain.Close(loop, std::move(before));
    HONE_RETURN_IF_ERROR(body.status());
    if (single) return body;
    auto kind = domain.stage().kinds.find(loop);
    Stmt built = For(var, extent,
                     kind == domain.stage().kinds.end() ? LoopKind::kSerial : kind->second, *body);
    auto intrinsic = domain.stage().intrinsics.find(loop);
    if (intrinsic == domain.stage().intrinsics.end()) return built;
    // A group that is not full is left to plain arithmetic.
    if (!extent.IsInt(FindTensorIntrinsic(intrinsic->second)->group)) return built;
    StmtNode node = *built;
    node.intrinsic = intrinsic->second;
    return Stmt(std::move(node));
  }

  // The body of an opened loop; where it says the place on a curve, after lets of the loops that
  // go along it.
  StatusOr<Stmt> BuildAlongCurves(IterationDomain& domain, size_t level, bool init) {
    HONE_ASSIGN_OR_RETURN(const Fusion* curve, domain.UnopenedCurve());
    if (curve == nullptr) return BuildInside(domain, level, init);
    const StageNest& nest = domain.stage();
    if (nest.LoopIndex(nest.microkernel) <= level) {
      return IllegalStage(nest, absl::StrCat("the curve of loop '", curve->name,
                                             "' is inside the micro-kernel's block; move it out"));
    }
    HONE_ASSIGN_OR_RETURN(const Expr rows, domain.ExtentOf(curve->outer));
    HONE_ASSIGN_OR_RETURN(const Expr columns, domain.ExtentOf(curve->inner));
    if (!rows.IsInt() || !columns.IsInt()) {
      return IllegalStage(
          nest, absl::StrCat("the loops of curve '", curve->name, "' have no constant extents"));
    }
    HONE_ASSIGN_OR_RETURN(const Span at, domain.RangeOf(curve->name));
    std::vector<int64_t> row_of;
    std::vector<int64_t> column_of;
    for (const CurvePoint& point : HilbertCurve(std::max<int64_t>(1, rows->int_value),
                                                std::max<int64_t>(1, columns->int_value))) {
      row_of.push_back(point.row);
      column_of.push_back(point.column);
    }
    const Expr row = Simple(Lookup(at.base, row_of));
    const Expr column = Simple(Lookup(at.base, column_of));
    const std::string prefix = nest.stage.name + ".";
    const std::string row_name = Unique(prefix + curve->outer);
    const std::string column_name = Unique(prefix + curve->inner);
    ScopedRange row_range(ranges_, row_name, rows);
    ScopedRange column_range(ranges_, column_name, columns);
    IterationDomain::Stretches before =
        domain.Open(curve->outer, row.IsInt() ? row : Var(row_name));
    domain.Open(curve->inner, column.IsInt() ? column : Var(column_name));
    auto body = BuildAlongCurves(domain, level, init);
    domain.Close(curve->inner, before);
    domain.Close(curve->outer, std::move(before));
    HONE_RETURN_IF_ERROR(body.status());
    std::vector<Stmt> parts;
    if (!row.IsInt()) parts.push_back(Let(row_name, row));
    if (!column.IsInt()) parts.push_back(Let(column_name, column));
    parts.push_back(*body);
    return Block(std::move(parts));
  }

  // The body of an opened loop: the stages computed in it, then the next loop.
  StatusOr<Stmt> BuildInside(IterationDomain& domain, size_t level, bool init) {
    std::vector<Stmt> parts;
    if (!init) {
      for (const StageNest& stage : nest_.stages) {
        if (stage.placement != Placement::kAt || stage.host != domain.stage().stage.name ||
            stage.host_loop != domain.stage().order[level]) {
          continue;
        }
        HONE_RETURN_IF_ERROR(BuildAttached(stage, &parts));
      }
    }
    auto inner = BuildLevel(domain, level + 1, init);
    if (!init) EndAttached(domain, domain.stage().order[level]);
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

  // Where what a stage computes, or a buffer of the workload, lies.
  const std::string& MemoryOf(const std::string& name) const {
    const auto instance = instances_.find(name);
    return instance == instances_.end() ? name : instance->second.buffer;
  }

  static Stmt WithIntrinsic(const Stmt& loop, const std::string& intrinsic,
                            const std::string& streams = "") {
    if (intrinsic.empty() || loop.kind() != StmtKind::kFor) return loop;
    StmtNode node = *loop;
    node.intrinsic = intrinsic;
    node.source = streams;
    return Stmt(std::move(node));
  }

  // What was computed in a loop's body is not there outside of it; the last step of a scan is, for
  // as long as its host.
  void EndAttached(const IterationDomain& domain, const std::string& loop) {
    for (const StageNest& stage : nest_.stages) {
      if (stage.placement == Placement::kAt && stage.host == domain.stage().stage.name &&
          stage.host_loop == loop && !KeepsStep(nest_, stage)) {
        instances_.erase(stage.stage.name);
        for (const StageNest* with : KeepingStepWith(stage)) instances_.erase(with->stage.name);
      }
    }
  }

  // --- Scans -----------------------------------------------------------------------------------

  std::vector<const StageNest*> KeepingStepWith(const StageNest& host) const {
    std::vector<const StageNest*> stages;
    for (const StageNest& stage : nest_.stages) {
      if (stage.placement == Placement::kAt && stage.host == host.stage.name &&
          KeepsStep(nest_, stage)) {
        stages.push_back(&stage);
      }
    }
    return stages;
  }

  // Where the region of a stage lies in `buffer`, whose shape it has; of a scan, the steps that
  // nothing reads any more have no place.
  StatusOr<Instance> FoldSteps(const StageNest& stage, const std::vector<Span>& region,
                               Buffer* buffer) const {
    Instance instance{buffer->name, region};
    const std::optional<Scan> scan = FindScan(stage.stage);
    if (!scan) return instance;
    instance.steps = scan->dim;
    HONE_ASSIGN_OR_RETURN(instance.slots, ScanSlots(nest_, stage, *scan));
    if (instance.slots > 0) buffer->shape[scan->dim] = Int(instance.slots);
    return instance;
  }

  // Before the first step of a scan whose instance is there: what its state begins with, and the
  // states of those that keep step with it.
  Status BeginSteps(const StageNest& stage, const Buffer& buffer, std::vector<Stmt>* parts) {
    const std::optional<Scan> scan = FindScan(stage.stage);
    if (!scan) return absl::OkStatus();
    if (instances_[stage.stage.name].slots > 0) parts->push_back(Fill(buffer, scan->initial));
    for (const StageNest* with : KeepingStepWith(stage)) {
      const std::string& name = with->stage.name;
      HONE_ASSIGN_OR_RETURN(std::vector<Span> region, bounds_.RegionOf(*with));
      Buffer state{Unique(name), with->stage.dtype};
      for (const Span& span : region) state.shape.push_back(span.extent);
      HONE_ASSIGN_OR_RETURN(instances_[name], FoldSteps(*with, region, &state));
      if (instances_[name].slots == 0) {
        return IllegalStage(*with, absl::StrCat("what comes after '", stage.stage.name,
                                                "' reads more of it than the last step"));
      }
      built_.layouts[state.name] = LayoutOf(name);
      parts->push_back(Allocate(state));
      parts->push_back(Fill(state, FindScan(with->stage)->initial));
    }
    return absl::OkStatus();
  }

  Stmt Fill(const Buffer& buffer, const Expr& value) {
    std::vector<Expr> at;
    for (const Expr& extent : buffer.shape) {
      at.push_back(extent.IsInt(1) ? Int(0) : Var(Unique(absl::StrCat(buffer.name, ".begin"))));
    }
    Stmt fill = Store(buffer.name, at, value);
    for (size_t d = at.size(); d-- > 0;) {
      if (at[d].IsInt()) continue;
      const bool vector = d + 1 == at.size() && built_.layouts.at(buffer.name).IsIdentity();
      fill =
          For(at[d]->name, buffer.shape[d], vector ? LoopKind::kVector : LoopKind::kSerial, fill);
    }
    return fill;
  }

  // One step of a scan that keeps step with its host.
  Status BuildStep(const StageNest& stage, std::vector<Stmt>* parts) {
    const StageNest& host = *nest_.FindStage(stage.host);
    if (host.order[0] != stage.host_loop) {
      return IllegalStage(stage,
                          absl::StrCat("it goes on with each iteration of '", stage.host_loop,
                                       "', which is not the outermost loop of '", stage.host, "'"));
    }
    HONE_ASSIGN_OR_RETURN(std::vector<Span> region, bounds_.RegionOf(stage));
    const size_t steps = instances_[stage.stage.name].steps;
    for (const std::string& consumer : nest_.ConsumersOf(stage.stage.name)) {
      const StageNest& reader = *nest_.FindStage(consumer);
      if (!nest_.IsInside(reader, stage.host)) continue;
      HONE_ASSIGN_OR_RETURN(const DimRanges dims, bounds_.RangesOf(reader));
      bool in_step = true;
      Visit(reader.stage.body, [&](const Expr& e) {
        if (e.kind() != ExprKind::kLoad || e->name != stage.stage.name) return;
        const std::optional<Span> span = dims.SpanOf(Indices(e)[steps], ranges_);
        int64_t back = 0;
        in_step &= span && span->extent.IsInt(1) &&
                   ConstantDifference(region[steps].base, span->base, ranges_, &back) &&
                   back == (e->has_otherwise ? 1 : 0);
      });
      if (!in_step) {
        return IllegalStage(
            stage,
            absl::StrCat("'", consumer, "' is not computed step by step in '", stage.host, "'"));
      }
    }
    HONE_ASSIGN_OR_RETURN(Stmt loops, BuildStage(stage, region));
    parts->push_back(loops);
    return absl::OkStatus();
  }

  Status BuildAttached(const StageNest& stage, std::vector<Stmt>* parts) {
    if (KeepsStep(nest_, stage)) return BuildStep(stage, parts);
    const std::string& name = stage.stage.name;
    HONE_ASSIGN_OR_RETURN(std::vector<Span> region, bounds_.RegionOf(stage));
    Buffer buffer{Unique(name), stage.stage.dtype};
    for (const Span& span : region) buffer.shape.push_back(span.extent);
    HONE_ASSIGN_OR_RETURN(const Instance instance, FoldSteps(stage, region, &buffer));
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
        if (!span.extent.IsInt()) return IllegalStage(stage, "its register tile has no fixed size");
      }
    }
    built_.layouts[buffer.name] = layout;
    parts->push_back(Allocate(buffer));
    instances_[name] = instance;
    HONE_RETURN_IF_ERROR(BeginSteps(stage, buffer, parts));
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
  StatusOr<std::map<std::string, Expr>> DimValues(IterationDomain& domain, bool with_base,
                                                  bool init) {
    std::map<std::string, Expr> values;
    for (const auto& [dim, base] : domain.bases()) {
      bool reduces = false;
      for (const Dim& d : domain.stage().stage.reduce) reduces |= d.name == dim;
      if (init && reduces) continue;
      HONE_ASSIGN_OR_RETURN(Span span, domain.RangeOf(dim));
      HONE_CHECK(span.extent.IsInt(1)) << "dimension " << dim << " is not open";
      values[dim] = Simple(with_base ? base + span.base : span.base);
    }
    return values;
  }

  StatusOr<std::vector<Expr>> OwnIndices(IterationDomain& domain, bool init) {
    const Instance& instance = instances_[domain.stage().stage.name];
    const bool folded = instance.slots > 0;
    HONE_ASSIGN_OR_RETURN(auto places, DimValues(domain, /*with_base=*/folded, init));
    std::vector<Expr> indices;
    for (const Dim& dim : domain.stage().stage.dims) {
      const Expr& place = places[dim.name];
      indices.push_back(folded ? Simple(instance.Place(indices.size(), place)) : place);
    }
    return indices;
  }

  // Asks for the cache lines that a later block reads, before a block begins.
  Status BuildPrefetches(IterationDomain& domain, std::vector<Stmt>* parts) {
    const Stage& stage = domain.stage().stage;
    for (const auto& [buffer, blocks] : domain.stage().prefetches) {
      Expr load;
      Visit(stage.body, [&, name = buffer](const Expr& e) {
        if (e.kind() == ExprKind::kLoad && e->name == name) load = e;
      });
      HONE_ASSIGN_OR_RETURN(const DimRanges dims, bounds_.RangesOf(domain.stage()));
      int64_t elements = 1;
      std::vector<Expr> first;
      auto instance = instances_.find(buffer);
      for (const Expr& index : Indices(load)) {
        std::optional<Span> span = dims.SpanOf(index, ranges_);
        if (!span || !span->extent.IsInt()) {
          return IllegalStage(domain.stage(), absl::StrCat("what a block reads of '", buffer,
                                                           "' has no fixed size"));
        }
        const size_t d = first.size();
        elements *= span->extent->int_value;
        first.push_back(instance == instances_.end()
                            ? span->base
                            : Simple(span->base - instance->second.region[d].base));
      }
      const int64_t line = kCacheLineBytes / DTypeBytes(load.type().dtype);
      const std::string& memory = MemoryOf(buffer);
      for (int64_t at = 0; at < elements; at += line) {
        parts->push_back(Prefetch(memory, first, Int(blocks * elements + at)));
      }
    }
    return absl::OkStatus();
  }

  StatusOr<Stmt> StoreNeutral(IterationDomain& domain) {
    HONE_ASSIGN_OR_RETURN(std::vector<Expr> indices, OwnIndices(domain, /*init=*/true));
    const Stage& stage = domain.stage().stage;
    return Store(instances_[stage.name].buffer, indices, NeutralValue(stage.combiner, stage.dtype));
  }

  StatusOr<Stmt> StoreValue(IterationDomain& domain) {
    const Stage& stage = domain.stage().stage;
    HONE_ASSIGN_OR_RETURN(auto values, DimValues(domain, /*with_base=*/true, /*init=*/false));
    HONE_ASSIGN_OR_RETURN(std::vector<Expr> indices, OwnIndices(domain, /*init=*/false));
    std::string absent;
    Expr value = Rewrite(Substitute(stage.body, values), [&](const Expr& e) {
      if (e.kind() != ExprKind::kLoad) return Expr();
      auto instance = instances_.find(e->name);
      if (instance == instances_.end()) {
        if (nest_.FindBuffer(e->name) == nullptr) absent = e->name;
        return Expr();
      }
      std::vector<Expr> at = Indices(e);
      for (size_t d = 0; d < at.size(); ++d) at[d] = Simple(instance->second.Place(d, at[d]));
      // Before the first step, the slots hold what the state begins with.
      const Expr otherwise = instance->second.slots > 0 ? Expr() : Otherwise(e);
      return Load(instance->second.buffer, e.type().dtype, std::move(at), otherwise);
    });
    if (!absent.empty()) {
      return IllegalStage(domain.stage(), absl::StrCat("it reads '", absent,
                                                       "', which is computed further in or later"));
    }
    const std::string& buffer = instances_[stage.name].buffer;
    if (stage.combiner != Combiner::kNone) {
      value = Combine(stage.combiner, Load(buffer, stage.dtype, indices), value);
    }
    return Store(buffer, indices, value);
  }

  const LoopNest& nest_;
  Ranges ranges_;  // of parameters and open loops
  BoundsInference bounds_;
  BuiltLoops built_;
  std::map<std::string, Instance> instances_;
  std::map<std::string, int> name_counts_;
};

}  // namespace

StatusOr<BuiltLoops> BuildLoops(const LoopNest& nest) { return LoopBuilder(nest).Build(); }

}  // namespace hone
