#include "compiler/operators/reduction.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

// A run of neighbouring dimensions of x that are all kept or all reduced.
struct Run {
  bool reduced = false;
  int first = 0;
  int count = 0;
  int64_t extent = 1;
  std::string name;
};

bool IsGlobalPooling(const Reduction& r) {
  return r.x.size() == 4 && !r.reduced[0] && !r.reduced[1] && r.reduced[2] && r.reduced[3];
}

void NameRuns(std::vector<Run>& runs) {
  int kept = 0;
  int reduced = 0;
  for (const Run& run : runs) ++(run.reduced ? reduced : kept);
  int kept_at = 0;
  int reduced_at = 0;
  static constexpr const char* kKept[] = {"m", "n"};
  static constexpr const char* kReduced[] = {"k", "l"};
  for (Run& run : runs) {
    int& at = run.reduced ? reduced_at : kept_at;
    const int total = run.reduced ? reduced : kept;
    run.name = total <= 2 ? std::string((run.reduced ? kReduced : kKept)[at])
                          : absl::StrCat(run.reduced ? "k" : "d", at);
    ++at;
  }
}

std::vector<Run> RunsOf(const Reduction& r) {
  if (IsGlobalPooling(r)) {
    return {
        {false, 0, 1, r.x[0], "n"}, {false, 1, 1, r.x[1], "c"}, {true, 2, 2, r.x[2] * r.x[3], "m"}};
  }
  std::vector<Run> runs;
  for (int d = 0; d < static_cast<int>(r.x.size()); ++d) {
    if (!runs.empty() && (runs.back().reduced == r.reduced[d] || r.x[d] == 1)) {
      ++runs.back().count;
      runs.back().extent *= r.x[d];
    } else {
      runs.push_back({r.reduced[d], d, 1, r.x[d], ""});
    }
  }
  NameRuns(runs);
  return runs;
}

}  // namespace

Workload ReductionWorkload(const Reduction& reduction, const Epilogue& epilogue) {
  std::vector<Run> runs = RunsOf(reduction);
  // The output keeps reduced dimensions as 1; they join the group of the run before.
  std::vector<int64_t> y = reduction.x;
  for (size_t d = 0; d < y.size(); ++d) y[d] = reduction.reduced[d] ? 1 : y[d];
  auto frame_of = [&] {
    std::vector<DimGroup> groups;
    for (const Run& run : runs) {
      if (!run.reduced) groups.push_back({run.name, run.first, run.count});
    }
    if (groups.empty()) groups.push_back({"m", 0, static_cast<int>(y.size())});
    return Frame(y, groups);
  };
  if (!frame_of().Fits(epilogue.operands)) {
    runs.clear();
    for (int d = 0; d < static_cast<int>(y.size()); ++d) {
      runs.push_back({reduction.reduced[d], d, 1, reduction.x[d], ""});
    }
    NameRuns(runs);
  }
  std::vector<int64_t> x;
  std::vector<Expr> index;
  Core core{.dtype = reduction.dtype, .combiner = reduction.combiner};
  for (const Run& run : runs) {
    x.push_back(run.extent);
    index.push_back(Var(run.name));
    if (run.reduced) core.reduce.push_back({run.name, Int(run.extent)});
  }
  if (core.reduce.empty()) core.combiner = Combiner::kNone;
  if (x.empty()) {
    x = {1};
    index = {Int(0)};
  }
  core.body = Load("x", reduction.dtype, index);
  Workload workload;
  workload.buffers.push_back(ArgumentBuffer("x", reduction.dtype, BufferRole::kInput, x));
  Finish(core, frame_of(), epilogue, workload);
  return workload;
}

}  // namespace hone
