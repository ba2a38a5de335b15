// BoundsInference: the region of a stage that the code around it reads, at one point of the
// program: what its readers' index maps make of the ranges of their dims there. The loop builder
// computes each attached stage for just that region; no statements are built here.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "compiler/ir/simplify.h"
#include "compiler/lower/iteration_domain.h"
#include "compiler/lower/span.h"
#include "compiler/schedule/loop_nest.h"
#include "compiler/schedule/scan.h"

namespace hone {

// What a stage's dims range over at a point of the program.
struct DimRanges {
  // Of each dim, and of each fusion of two dims that has no one place there.
  std::map<std::string, Span> spans;
  // What the parts of such a fusion are of it: an index into which both go may have one span where
  // they have none.
  std::map<std::string, Expr> parts;

  // What an index of the dims ranges over; nothing where it is no one span.
  std::optional<Span> SpanOf(const Expr& index, const Ranges& ranges) const;
};

class BoundsInference {
 public:
  // `ranges`: of all variables, as loops are opened. Both must outlive it.
  BoundsInference(const LoopNest& nest, const Ranges& ranges) : nest_(nest), ranges_(ranges) {}

  // From now on, until it is left, the stage of `domain` is being built; the last one entered is
  // left first.
  void Enter(IterationDomain& domain) { open_.push_back(&domain); }
  void Leave() { open_.pop_back(); }

  // What every dimension of `reader` ranges over at this point of the program. Errors:
  // InvalidArgument when one has no range that is one span.
  StatusOr<DimRanges> RangesOf(const StageNest& reader);

  // The part of the stage that its readers need at this point of the program, a span a dim. Errors:
  // InvalidArgument when no box holds it.
  StatusOr<std::vector<Span>> RegionOf(const StageNest& stage);

 private:
  // The steps of a scan: all of them, whatever its readers need, or the one that its host is at.
  StatusOr<Span> StepsOf(const StageNest& stage, const Scan& scan);
  // The same of one dim of a stage that is being built.
  Status AddRange(IterationDomain& domain, const std::string& dim, DimRanges* ranges) const;
  // Whether the loop that the stage is computed in is open.
  bool IsInHost(const StageNest& stage) const;

  const LoopNest& nest_;
  const Ranges& ranges_;
  std::vector<IterationDomain*> open_;  // outermost first
};

}  // namespace hone
