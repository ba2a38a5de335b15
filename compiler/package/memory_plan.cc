#include "compiler/package/memory_plan.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "runtime/kernel.h"

// Packing is greedy best fit by size: the largest lifetime first, each into the smallest gap
// between those already placed that are alive at the same time. For networks this comes within a
// few per cent of the lower bound (the most bytes alive at one step).

namespace hone {
namespace {

int64_t AlignUp(int64_t bytes) {
  return (bytes + HONE_ALIGNMENT - 1) / HONE_ALIGNMENT * HONE_ALIGNMENT;
}

bool Overlap(const Lifetime& a, const Lifetime& b) {
  return a.first <= b.last && b.first <= a.last;
}

// The tensor whose memory `tensor` is a part of, and where in it.
struct Root {
  int tensor = 0;
  int64_t offset = 0;
};

StatusOr<std::vector<Root>> FindRoots(const ModelPlan& plan) {
  std::vector<Root> roots;
  const int count = static_cast<int>(plan.tensors.size());
  for (int i = 0; i < count; ++i) {
    Root root{.tensor = i};
    for (int depth = 0; plan.tensors[root.tensor].part_of >= 0; ++depth) {
      const PlanTensor& part = plan.tensors[root.tensor];
      if (part.part_of >= count || depth > count) {
        return absl::InternalError(
            absl::StrCat("memory plan: '", part.name, "' is a part of no tensor"));
      }
      root.offset += part.part_offset_bytes;
      root.tensor = part.part_of;
    }
    const PlanTensor& whole = plan.tensors[root.tensor];
    if (root.offset < 0 || root.offset + plan.tensors[i].Bytes() > whole.Bytes()) {
      return absl::InternalError(absl::StrCat("memory plan: '", plan.tensors[i].name,
                                              "' reaches beyond '", whole.name,
                                              "', which it is a part of"));
    }
    roots.push_back(root);
  }
  return roots;
}

int IndexIn(const std::vector<int>& tensors, int tensor) {
  const auto found = std::find(tensors.begin(), tensors.end(), tensor);
  return found == tensors.end() ? -1 : static_cast<int>(found - tensors.begin());
}

// The output whose memory the root can use: itself an output, or a local that an output covers
// whole (a reshape). -1 if there is none.
int OutputOfRoot(const ModelPlan& plan, const std::vector<Root>& roots, int root) {
  if (const int own = IndexIn(plan.outputs, root); own >= 0) return own;
  for (size_t i = 0; i < plan.outputs.size(); ++i) {
    const int tensor = plan.outputs[i];
    if (roots[tensor].tensor == root &&
        plan.tensors[tensor].Bytes() == plan.tensors[root].Bytes()) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

}  // namespace

ArenaPlan PackArena(const std::vector<Lifetime>& lifetimes) {
  ArenaPlan plan;
  plan.offsets.assign(lifetimes.size(), 0);
  std::vector<int> order(lifetimes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return lifetimes[a].bytes > lifetimes[b].bytes; });
  std::vector<int> placed;  // by offset
  for (const int i : order) {
    const int64_t bytes = AlignUp(lifetimes[i].bytes);
    if (bytes == 0) continue;
    int64_t best = -1;
    int64_t best_gap = std::numeric_limits<int64_t>::max();
    int64_t free_from = 0;  // nothing alive with `i` lies between here and the next one
    for (const int other : placed) {
      if (!Overlap(lifetimes[i], lifetimes[other])) continue;
      const int64_t gap = plan.offsets[other] - free_from;
      if (gap >= bytes && gap < best_gap) {
        best = free_from;
        best_gap = gap;
      }
      free_from = std::max(free_from, plan.offsets[other] + AlignUp(lifetimes[other].bytes));
    }
    plan.offsets[i] = best >= 0 ? best : free_from;
    plan.bytes = std::max(plan.bytes, plan.offsets[i] + bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), i,
                                   [&](int a, int b) { return plan.offsets[a] < plan.offsets[b]; }),
                  i);
  }
  return plan;
}

StatusOr<MemoryPlan> PlanMemory(const ModelPlan& plan) {
  HONE_ASSIGN_OR_RETURN(const std::vector<Root> roots, FindRoots(plan));
  const int tensor_count = static_cast<int>(plan.tensors.size());
  const int call_count = static_cast<int>(plan.calls.size());

  // When each root is first and last touched; outputs are copied in step `call_count`.
  std::vector<Lifetime> lifetimes(tensor_count, {.first = call_count, .last = -1});
  const auto touch = [&](int tensor, int step) {
    Lifetime& lifetime = lifetimes[roots[tensor].tensor];
    lifetime.first = std::min(lifetime.first, step);
    lifetime.last = std::max(lifetime.last, step);
  };
  for (int step = 0; step < call_count; ++step) {
    for (const int tensor : plan.calls[step].tensors) {
      if (roots[tensor].offset % HONE_ALIGNMENT != 0) {
        return absl::InternalError(absl::StrCat(
            "memory plan: '", plan.tensors[tensor].name, "' begins ", roots[tensor].offset,
            " bytes into '", plan.tensors[roots[tensor].tensor].name, "', which is no multiple of ",
            HONE_ALIGNMENT, "; give it memory of its own"));
      }
      touch(tensor, step);
    }
  }
  for (const int tensor : plan.outputs) touch(tensor, call_count);

  MemoryPlan memory;
  memory.tensors.resize(tensor_count);
  std::vector<int> in_arena;
  std::vector<Lifetime> arena_lifetimes;
  for (int i = 0; i < tensor_count; ++i) {
    if (roots[i].tensor != i) continue;
    TensorPlace& place = memory.tensors[i];
    if (plan.tensors[i].kind == TensorKind::kConstant) {
      place = {.place = Place::kConstant, .index = i};
    } else if (const int input = IndexIn(plan.inputs, i); input >= 0) {
      place = {.place = Place::kInput, .index = input};
    } else if (const int output = OutputOfRoot(plan, roots, i); output >= 0) {
      place = {.place = Place::kOutput, .index = output};
    } else if (lifetimes[i].first <= lifetimes[i].last) {
      lifetimes[i].bytes = plan.tensors[i].Bytes();
      in_arena.push_back(i);
      arena_lifetimes.push_back(lifetimes[i]);
    }
  }
  const ArenaPlan arena = PackArena(arena_lifetimes);
  for (size_t i = 0; i < in_arena.size(); ++i)
    memory.tensors[in_arena[i]].offset = arena.offsets[i];
  memory.arena_bytes = arena.bytes;
  for (int i = 0; i < tensor_count; ++i) {
    if (roots[i].tensor == i) continue;
    memory.tensors[i] = memory.tensors[roots[i].tensor];
    memory.tensors[i].offset += roots[i].offset;
  }
  for (size_t i = 0; i < plan.outputs.size(); ++i) {
    const TensorPlace& place = memory.tensors[plan.outputs[i]];
    if (place.place != Place::kOutput || place.index != static_cast<int>(i) || place.offset != 0) {
      memory.copies.push_back({.output = static_cast<int>(i), .tensor = plan.outputs[i]});
    }
  }
  return memory;
}

}  // namespace hone
