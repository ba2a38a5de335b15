#include "compiler/codegen/scratch_plan.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "compiler/ir/expr_text.h"
#include "compiler/ir/simplify.h"
#include "runtime/kernel.h"

namespace hone {
namespace {

// Lays the buffers of one function out one after another.
class Planner {
 public:
  Planner(const std::vector<Param>& params, ScratchPlan& plan) : plan_(plan) {
    for (const Param& param : params) ranges_[param.name] = {param.min, param.max};
  }

  Status Walk(const Stmt& s, bool worker) {
    if (s.kind() == StmtKind::kAllocate) return Place(s->buffer, worker);
    std::optional<Interval> bounds;
    if (s.kind() == StmtKind::kFor) bounds = Bounds(s->extent, ranges_);
    if (bounds && bounds->max > 0) ranges_[s->name] = {0, bounds->max - 1};
    if (s.kind() == StmtKind::kLet && (bounds = Bounds(s->value, ranges_))) {
      ranges_[s->name] = {bounds->min, bounds->max};
    }
    const bool parallel = s.kind() == StmtKind::kFor && s->loop_kind == LoopKind::kParallel;
    for (const Stmt& child : s->body) HONE_RETURN_IF_ERROR(Walk(child, worker || parallel));
    return absl::OkStatus();
  }

 private:
  Status Place(const Buffer& buffer, bool worker) {
    if (buffer.scope != Scope::kScratch) return absl::OkStatus();
    int64_t bytes = DTypeBytes(buffer.dtype);
    for (const Expr& extent : buffer.shape) {
      // Of a block, as long as the longest.
      const std::optional<Interval> bounds = Bounds(extent, ranges_);
      if (!bounds) {
        return absl::InvalidArgumentError(absl::StrCat(
            "scratch buffer '", buffer.name, "': nothing bounds its extent ", ToString(extent)));
      }
      bytes *= std::max<int64_t>(0, bounds->max);
    }
    int64_t& top = worker ? worker_top_ : shared_top_;
    int64_t& size = worker ? plan_.worker_bytes : plan_.shared_bytes;
    plan_.slots[buffer.name] = {.worker = worker, .offset = top};
    top += (bytes + HONE_ALIGNMENT - 1) / HONE_ALIGNMENT * HONE_ALIGNMENT;
    size = std::max(size, top);
    return absl::OkStatus();
  }

  Ranges ranges_;  // of parameters and open loops
  ScratchPlan& plan_;
  int64_t shared_top_ = 0;
  int64_t worker_top_ = 0;
};

}  // namespace

StatusOr<int64_t> MaxElements(const std::vector<Expr>& shape, const std::vector<Param>& params) {
  std::map<std::string, Expr> top;
  for (const Param& param : params) top[param.name] = Int(param.max);
  int64_t elements = 1;
  for (const Expr& extent : shape) {
    const Expr value = Substitute(extent, top);
    if (!value.IsInt()) {
      return absl::InvalidArgumentError("its extent is not a constant at the top of the ranges");
    }
    elements *= std::max<int64_t>(0, value->int_value);
  }
  return elements;
}

StatusOr<ScratchPlan> PlanScratch(const Program& program) {
  ScratchPlan plan;
  for (const Stmt& body : {program.prepare, program.run}) {
    if (!body) continue;
    Planner planner(program.params, plan);
    HONE_RETURN_IF_ERROR(planner.Walk(body, false));
  }
  return plan;
}

}  // namespace hone
