#include "tests/lower/random_schedule.h"

#include <algorithm>

#include "compiler/schedule/scan.h"

namespace hone {
namespace {

template <typename T>
const T& Pick(const std::vector<T>& from, std::mt19937_64& random) {
  return from[random() % from.size()];
}

class Drawer {
 public:
  Drawer(const Workload& workload, std::mt19937_64& random) : nest_(workload), random_(random) {}

  Schedule Draw() {
    DrawBoundaryLayouts();
    DrawAlgorithm();
    const int count = 4 + static_cast<int>(random_() % 16);
    for (int i = 0; i < count; ++i) DrawStep();
    return schedule_;
  }

 private:
  void Try(const Step& step) {
    LoopNest attempt = nest_;
    Status status = Apply(step, attempt);
    if (!status.ok()) return;
    nest_ = std::move(attempt);
    schedule_.steps.push_back(step);
  }

  void DrawBoundaryLayouts() {
    // A copy: every step that is taken replaces the nest.
    const std::vector<Buffer> buffers = nest_.buffers;
    for (const Buffer& buffer : buffers) {
      if (buffer.role == BufferRole::kConstant || random_() % 2) continue;
      const int rank = static_cast<int>(buffer.shape.size());
      if (rank == 0) continue;
      const int dim = static_cast<int>(random_() % rank);
      Try(LayoutStep{buffer.name,
                     Layout::Blocked(rank, dim, 1 + static_cast<int64_t>(random_() % 8))});
    }
  }

  // Winograd along up to two dims, where the stage is a convolution along them; Strassen; patches;
  // dims as one.
  void DrawAlgorithm() {
    for (int i = 0; i < 2 && random_() % 2; ++i) {
      const StageNest stage = Pick(nest_.stages, random_);
      if (stage.order.empty()) return;
      Try(WinogradStep{stage.stage.name, Pick(stage.order, random_),
                       2 + static_cast<int64_t>(random_() % 2)});
    }
    if (random_() % 2) {
      const StageNest stage = Pick(nest_.stages, random_);
      if (stage.order.empty()) return;
      Try(StrassenStep{stage.stage.name, Pick(stage.order, random_), Pick(stage.order, random_),
                       Pick(stage.order, random_), 1 + static_cast<int64_t>(random_() % 8)});
    }
    if (random_() % 4 == 0) Try(Im2colStep{Pick(nest_.stages, random_).stage.name});
    if (random_() % 3 == 0) DrawFlattening();
    if (random_() % 2) DrawRunning();
  }

  // Of up to two stages two dims as one.
  void DrawFlattening() {
    for (int i = 0; i < 2; ++i) {
      const StageNest stage = Pick(nest_.stages, random_);
      if (stage.order.empty()) continue;
      Try(FlattenStep{stage.stage.name, Pick(stage.order, random_), Pick(stage.order, random_)});
    }
  }

  // A running maximum; in half of these, much of it step by step: what is last is placed first.
  void DrawRunning() {
    const size_t before = schedule_.steps.size();
    const std::vector<StageNest> stages = nest_.stages;
    const int64_t block = 1 + static_cast<int64_t>(random_() % 12);
    for (const StageNest& stage : stages) Try(RunningStep{stage.stage.name, block});
    if (schedule_.steps.size() == before || random_() % 2) return;
    const StageNest* last = nullptr;
    for (const StageNest& stage : nest_.stages) {
      if (FindScan(stage.stage)) last = &stage;
    }
    const StageNest host = *last;
    const std::string steps = host.stage.dims[FindScan(host.stage)->dim].name;
    std::vector<std::string> order = {steps};
    for (const std::string& loop : host.order) {
      if (loop != steps) order.push_back(loop);
    }
    Try(ReorderStep{host.stage.name, order});
    const StageNest output = nest_.stages.back();
    if (random_() % 2) Try(AtStep{host.stage.name, output.stage.name, Pick(output.order, random_)});
    std::vector<std::string> names;
    for (const StageNest& stage : nest_.stages) names.push_back(stage.stage.name);
    for (auto name = names.rbegin(); name != names.rend(); ++name) {
      if (random_() % 6) Try(AtStep{*name, host.stage.name, steps});
    }
  }

  void DrawStep() {
    const StageNest stage = Pick(nest_.stages, random_);
    const std::string name = stage.stage.name;
    const std::string loop = stage.order.empty() ? "" : Pick(stage.order, random_);
    const StageNest other = Pick(nest_.stages, random_);
    switch (random_() % 13) {
      case 0:
      case 1:
      case 2: {
        const int64_t multiple = random_() % 3 == 0 ? 8 : 0;
        const int64_t size = multiple ? multiple * (1 + static_cast<int64_t>(random_() % 2))
                                      : 1 + static_cast<int64_t>(random_() % 9);
        if (random_() % 4 != 0) return Try(TileStep{name, loop, size, multiple});
        const std::string param = loop + ".size";
        Try(ParamStep{{param, 1, 1 + static_cast<int64_t>(random_() % 30)}});
        return Try(TileStep{name, loop, 1, 0, param});
      }
      case 3:
      case 4: {
        std::vector<std::string> order = stage.order;
        std::shuffle(order.begin(), order.end(), random_);
        if (order.empty()) return;
        // An inner part of a tile usually belongs inside its outer part.
        std::stable_sort(
            order.begin(), order.end(), [](const std::string& a, const std::string& b) {
              auto depth = [](const std::string& s) { return s.size() > 2 && s.ends_with(".1"); };
              return depth(a) < depth(b);
            });
        return Try(ReorderStep{name, order});
      }
      case 5:
        return Try(AnnotateStep{LoopKind::kVector, name, loop});
      case 6:
        return Try(AnnotateStep{LoopKind::kUnroll, name, loop});
      case 7:
        if (!stage.order.empty()) Try(AnnotateStep{LoopKind::kParallel, name, stage.order[0]});
        return;
      case 8: {
        const size_t at = stage.LoopIndex(loop);
        if (at + 1 >= stage.order.size()) return;
        if (random_() % 3 == 0) return Try(HilbertStep{name, loop, stage.order[at + 1]});
        return Try(FuseStep{name, loop, stage.order[at + 1]});
      }
      case 9: {
        std::vector<std::string> read;
        Visit(stage.stage.body, [&](const Expr& e) {
          if (e.kind() == ExprKind::kLoad) read.push_back(e->name);
        });
        if (read.empty() || nest_.stages.size() > 6) return;
        const std::string buffer = Pick(read, random_);
        if (buffer.find('@') != std::string::npos) return;
        Try(CacheStep{buffer, name});
        if (random_() % 2) Try(PrepareStep{buffer + "@" + name});
        return;
      }
      case 10:
        if (!other.order.empty()) Try(AtStep{name, other.stage.name, Pick(other.order, random_)});
        return;
      case 11: {
        if (stage.placement != Placement::kAt || stage.stage.combiner == Combiner::kNone) return;
        std::vector<std::string> order;
        for (const std::string& l : stage.order) {
          if (stage.IsReduceLoop(l)) order.push_back(l);
        }
        const std::string first = order.empty() ? "" : order.back();
        for (const std::string& l : stage.order) {
          if (!stage.IsReduceLoop(l)) order.push_back(l);
        }
        Try(ReorderStep{name, order});
        return Try(MicrokernelStep{name, first});
      }
      case 12:
        return Try(InlineStep{name});
    }
  }

  LoopNest nest_;
  std::mt19937_64& random_;
  Schedule schedule_;
};

}  // namespace

Schedule RandomSchedule(const Workload& workload, std::mt19937_64& random) {
  return Drawer(workload, random).Draw();
}

}  // namespace hone
