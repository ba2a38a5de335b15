#include "compiler/schedule/scan.h"

#include "absl/strings/str_cat.h"
#include "compiler/ir/simplify.h"

namespace hone {
namespace {

// Whether the index is `dim` less one.
bool IsOneEarlier(const Expr& index, const std::string& dim) {
  const LinearForm form = Linearize(index, {});
  return form.constant == -1 && form.terms.size() == 1 && form.CoefficientOf(dim) == 1;
}

// The scan that one read of itself makes of the stage.
std::optional<Scan> ScanOf(const Stage& stage, const Expr& load) {
  if (!load->has_otherwise) return std::nullopt;
  std::optional<Scan> scan;
  const std::vector<Expr> indices = Indices(load);
  for (size_t d = 0; d < indices.size(); ++d) {
    if (indices[d].IsVar(stage.dims[d].name)) continue;
    if (scan || !IsOneEarlier(indices[d], stage.dims[d].name)) return std::nullopt;
    scan = Scan{d, Otherwise(load)};
  }
  return scan;
}

}  // namespace

std::optional<Scan> FindScan(const Stage& stage) {
  if (stage.combiner != Combiner::kNone || !LoadsFrom(stage.body, stage.name)) return std::nullopt;
  std::optional<Scan> scan;
  bool alike = true;
  Visit(stage.body, [&](const Expr& e) {
    if (e.kind() != ExprKind::kLoad || e->name != stage.name) return;
    const std::optional<Scan> found = ScanOf(stage, e);
    alike &= found && (!scan || (scan->dim == found->dim && Equal(scan->initial, found->initial)));
    scan = found;
  });
  return alike ? scan : std::nullopt;
}

bool KeepsStep(const LoopNest& nest, const StageNest& stage) {
  if (stage.placement != Placement::kAt || !FindScan(stage.stage)) return false;
  const Stage& host = nest.FindStage(stage.host)->stage;
  const std::optional<Scan> steps = FindScan(host);
  return steps && host.dims[steps->dim].name == stage.host_loop;
}

bool ReadsLastStepOnly(const Stage& reader, const Stage& stage, const Scan& scan) {
  const Expr& steps = stage.dims[scan.dim].extent;
  bool last = steps.IsInt();
  Visit(reader.body, [&](const Expr& e) {
    if (e.kind() != ExprKind::kLoad || e->name != stage.name) return;
    last &= steps.IsInt() && Indices(e)[scan.dim].IsInt(steps->int_value - 1);
  });
  return last;
}

Status RefuseStepLoop(const StageNest& stage, absl::string_view loop) {
  const std::optional<Scan> scan = FindScan(stage.stage);
  if (!scan || stage.stage.dims[scan->dim].name != loop) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("loop '", loop,
                   "' goes over the steps of a scan, which come one after the other"
                   " as they are"));
}

}  // namespace hone
