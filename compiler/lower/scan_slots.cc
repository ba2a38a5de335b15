#include "compiler/lower/scan_slots.h"

#include "absl/strings/str_cat.h"
#include "compiler/ir/simplify.h"
#include "compiler/lower/iteration_domain.h"

namespace hone {
namespace {

// How many steps back a read lies, 0 or 1; nothing when the index does not say.
std::optional<int64_t> StepsBack(const Expr& load, const Scan& scan) {
  const std::vector<Expr> indices = Indices(load);
  const LinearForm form = Linearize(indices[scan.dim], {});
  if (form.terms.size() != 1 || form.terms[0].coefficient != 1) return std::nullopt;
  if (form.constant == 0 && !load->has_otherwise) return 0;
  // Before the first step there is what the state began with.
  if (form.constant != -1 || !load->has_otherwise || !Equal(Otherwise(load), scan.initial)) {
    return std::nullopt;
  }
  for (size_t d = 0; d < indices.size(); ++d) {
    if (d != scan.dim && indices[d].kind() != ExprKind::kVar) return std::nullopt;
  }
  return 1;
}

}  // namespace

StatusOr<int64_t> ScanSlots(const LoopNest& nest, const StageNest& stage, const Scan& scan) {
  const bool keeps_step = KeepsStep(nest, stage);
  int64_t slots = 1;
  for (const std::string& consumer : nest.ConsumersOf(stage.stage.name)) {
    const StageNest& reader = *nest.FindStage(consumer);
    if (!keeps_step || !nest.IsInside(reader, stage.host)) {
      if (!ReadsLastStepOnly(reader.stage, stage.stage, scan)) return 0;
      continue;
    }
    bool known = true;
    Visit(reader.stage.body, [&](const Expr& e) {
      if (e.kind() != ExprKind::kLoad || e->name != stage.stage.name) return;
      const std::optional<int64_t> back = StepsBack(e, scan);
      known &= back.has_value();
      if (back) slots = std::max(slots, *back + 1);
    });
    if (!known) {
      return IllegalStage(stage, absl::StrCat("'", consumer,
                                              "' reads other steps of it than the "
                                              "one that '",
                                              stage.host, "' is at and the one before"));
    }
  }
  return slots;
}

}  // namespace hone
