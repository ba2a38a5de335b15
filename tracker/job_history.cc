#include "tracker/job_history.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/strip.h"

namespace hone {
namespace {

// Sums over the kernels; the curve is left out.
pb::JobEntry SumsOf(const pb::Job& job) {
  pb::JobEntry entry;
  for (const pb::KernelProgress& kernel : job.progress().kernels()) {
    entry.set_kernels(entry.kernels() + 1);
    entry.set_failures(entry.failures() + kernel.failures());
    if (kernel.state() == pb::KernelProgress::DONE)
      entry.set_kernels_done(entry.kernels_done() + 1);
    if (kernel.default_ns() <= 0 || kernel.best_ns() <= 0) continue;
    // A default that is the best until something is found may be measured again as a little slower.
    const double best_ns = std::min(kernel.best_ns(), kernel.default_ns());
    entry.set_kernels_measured(entry.kernels_measured() + 1);
    entry.set_default_ns(entry.default_ns() + kernel.calls() * kernel.default_ns());
    entry.set_best_ns(entry.best_ns() + kernel.calls() * best_ns);
  }
  return entry;
}

}  // namespace

std::string PhaseWord(pb::JobPhase phase) {
  absl::string_view name = pb::JobPhase_Name(phase);
  if (!absl::ConsumePrefix(&name, "JOB_") || phase == pb::JOB_PHASE_UNSPECIFIED) return "unknown";
  return absl::AsciiStrToLower(name);
}

void JobHistory::Saw(const pb::Job& job) {
  const pb::JobEntry sums = SumsOf(job);
  if (sums.kernels_measured() == 0) return;
  auto curve = std::find_if(curves_.begin(), curves_.end(),
                            [&](const Curve& c) { return c.id == job.id(); });
  if (curve == curves_.end()) {
    curve = curves_.insert(curves_.begin(), {.id = job.id()});
    if (static_cast<int>(curves_.size()) > kJobCurvesMax) curves_.pop_back();
  }
  curves_.splice(curves_.begin(), curves_, curve);
  std::vector<pb::JobPoint>& points = curve->points;
  pb::JobPoint point;
  point.set_elapsed_s(job.progress().elapsed_s());
  point.set_saved_ns(sums.default_ns() - sums.best_ns());
  // Only what is news, and the end of what was.
  if (points.size() >= 2 && points.back().saved_ns() == point.saved_ns() &&
      points[points.size() - 2].saved_ns() == point.saved_ns()) {
    points.back() = point;
    return;
  }
  points.push_back(point);
  if (static_cast<int>(points.size()) <= kJobPointsMax) return;
  // Every second one goes, the last one stays.
  for (size_t i = 0; 2 * i + 1 < points.size(); ++i) points[i] = points[2 * i];
  points[points.size() / 2] = point;
  points.resize(points.size() / 2 + 1);
}

pb::JobEntry JobHistory::EntryOf(const pb::Job& job) const {
  pb::JobEntry entry = SumsOf(job);
  *entry.mutable_job() = job;
  entry.mutable_job()->clear_kernels();
  entry.mutable_job()->mutable_spec()->clear_workload();
  entry.mutable_job()->mutable_progress()->clear_kernels();
  for (const Curve& curve : curves_) {
    if (curve.id != job.id()) continue;
    for (const pb::JobPoint& point : curve.points) *entry.add_points() = point;
  }
  return entry;
}

}  // namespace hone
