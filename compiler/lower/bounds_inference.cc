#include "compiler/lower/bounds_inference.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "compiler/lower/matrix_tiles.h"

namespace hone {
namespace {

// A load of a stage. Guarded ones may have indices outside of the stage's domain: they then give
// their `otherwise`, or stand in an arm of a select that is not taken.
struct Read {
  Expr load;
  bool guarded = false;
};

void CollectReads(const Expr& e, const std::string& name, bool in_select,
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
bool HoldsPadding(const LoopNest& nest, const Stage& stage) {
  const Expr& load = stage.body.kind() == ExprKind::kCast ? stage.body.arg(0) : stage.body;
  if (load.kind() != ExprKind::kLoad) return false;
  if (load->has_otherwise) return true;
  const StageNest* copied = nest.FindStage(load->name);
  return copied != nullptr && HoldsPadding(nest, copied->stage);
}

}  // namespace

std::optional<Span> DimRanges::SpanOf(const Expr& index, const Ranges& ranges) const {
  return IndexSpan(parts.empty() ? index : Substitute(index, parts), spans, ranges);
}

Status BoundsInference::AddRange(IterationDomain& domain, const std::string& dim,
                                 DimRanges* ranges) const {
  const Expr& base = domain.bases().at(dim);
  HONE_ASSIGN_OR_RETURN(const Fusion* fusion, domain.PartlyOpenFusion(dim));
  if (fusion == nullptr) {
    HONE_ASSIGN_OR_RETURN(Span span, domain.RangeOf(dim));
    ranges->spans[dim] = {Simplify(base + span.base, ranges_), span.extent};
    return absl::OkStatus();
  }
  HONE_ASSIGN_OR_RETURN(const Expr inner, domain.ExtentOf(fusion->inner));
  if (!inner.IsInt()) return domain.RangeOf(dim).status();
  HONE_ASSIGN_OR_RETURN(ranges->spans[fusion->name], domain.RangeOf(fusion->name));
  const Expr fused = Var(fusion->name);
  ranges->parts[dim] = base + (dim == fusion->outer ? FloorDiv(fused, inner->int_value)
                                                    : FloorMod(fused, inner->int_value));
  const std::optional<Span> box = ranges->SpanOf(Var(dim), ranges_);
  HONE_CHECK(box.has_value()) << "a quotient of a span has one";
  ranges->spans[dim] = *box;
  return absl::OkStatus();
}

StatusOr<DimRanges> BoundsInference::RangesOf(const StageNest& reader) {
  DimRanges ranges;
  for (IterationDomain* domain : open_) {
    if (&domain->stage() != &reader) continue;
    for (const std::vector<Dim>* dims : {&reader.stage.dims, &reader.stage.reduce}) {
      for (const Dim& dim : *dims) {
        HONE_RETURN_IF_ERROR(AddRange(*domain, dim.name, &ranges));
      }
    }
    return ranges;
  }
  for (const Dim& dim : reader.stage.reduce) ranges.spans[dim.name] = {Int(0), dim.extent};
  if (reader.placement == Placement::kAt ||
      (nest_.FindBuffer(reader.stage.name) == nullptr && reader.placement == Placement::kRoot)) {
    HONE_ASSIGN_OR_RETURN(std::vector<Span> region, RegionOf(reader));
    for (size_t d = 0; d < region.size(); ++d) {
      ranges.spans[reader.stage.dims[d].name] = region[d];
    }
  } else {
    for (const Dim& dim : reader.stage.dims) ranges.spans[dim.name] = {Int(0), dim.extent};
  }
  return ranges;
}

StatusOr<Span> BoundsInference::StepsOf(const StageNest& stage, const Scan& scan) {
  const Dim& steps = stage.stage.dims[scan.dim];
  if (!KeepsStep(nest_, stage)) return Span{Int(0), steps.extent};
  HONE_ASSIGN_OR_RETURN(const DimRanges dims, RangesOf(*nest_.FindStage(stage.host)));
  return dims.spans.at(stage.host_loop);
}

StatusOr<std::vector<Span>> BoundsInference::RegionOf(const StageNest& stage) {
  const size_t rank = stage.stage.dims.size();
  std::vector<Span> region(rank);
  const std::optional<Scan> scan = FindScan(stage.stage);
  if (scan) {
    HONE_ASSIGN_OR_RETURN(region[scan->dim], StepsOf(stage, *scan));
  }
  const bool holds_padding = HoldsPadding(nest_, stage.stage);
  for (const std::string& consumer : nest_.ConsumersOf(stage.stage.name)) {
    const StageNest& reader = *nest_.FindStage(consumer);
    HONE_ASSIGN_OR_RETURN(const DimRanges dims, RangesOf(reader));
    std::vector<Read> reads;
    CollectReads(reader.stage.body, stage.stage.name, /*in_select=*/false, &reads);
    for (const Read& read : reads) {
      const std::vector<Expr> indices = Indices(read.load);
      for (size_t d = 0; d < rank; ++d) {
        if (scan && scan->dim == d) continue;
        std::optional<Span> span = dims.SpanOf(indices[d], ranges_);
        const Span whole{Int(0), stage.stage.dims[d].extent};
        // Partly padding, or not read at all.
        const bool outside = read.guarded && (read.load->has_otherwise || !holds_padding);
        if (!span) span = whole;
        if (outside && !IsInside(*span, whole, ranges_)) span = MovedInside(*span, whole, ranges_);
        if (!region[d].base) {
          region[d] = *span;
        } else if (!Extend(*span, ranges_, &region[d])) {
          if (!outside) {
            return IllegalStage(stage,
                                "its readers need regions that no one box holds here; compute it "
                                "further out");
          }
          region[d] = whole;
        }
      }
    }
  }
  for (size_t d = 0; d < rank; ++d) {
    if (!region[d].base) region[d] = {Int(0), stage.stage.dims[d].extent};
  }
  if (!stage.tile_intrinsic.empty()) {
    HONE_RETURN_IF_ERROR(RoundUpToTiles(stage, ranges_, IsInHost(stage), &region));
  }
  return region;
}

bool BoundsInference::IsInHost(const StageNest& stage) const {
  return std::any_of(open_.begin(), open_.end(), [&](const IterationDomain* domain) {
    return domain->stage().stage.name == stage.host && domain->HasOpened(stage.host_loop);
  });
}

}  // namespace hone
