// Where every tensor of a compiled model lies: inputs and outputs in memory of their own, constants
// in the file, all else in one arena, where tensors that are never alive together share bytes. Pure
// planning for build_package; it touches no data.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "compiler/graph/model_plan.h"

namespace hone {

// Memory needed from step `first` to step `last`, both included.
struct Lifetime {
  int64_t bytes = 0;
  int first = 0;
  int last = 0;
};

struct ArenaPlan {
  std::vector<int64_t> offsets;  // one a lifetime, multiples of 64
  int64_t bytes = 0;
};

// Lifetimes that overlap in time get memory that does not.
ArenaPlan PackArena(const std::vector<Lifetime>& lifetimes);

enum class Place : uint8_t { kArena, kConstant, kInput, kOutput };

struct TensorPlace {
  Place place = Place::kArena;
  int index = 0;       // kInput, kOutput: which; kConstant: the tensor that holds the data
  int64_t offset = 0;  // bytes from there on
};

// An output that is not computed where it is to be delivered.
struct OutputCopy {
  int output = 0;  // in the order of plan.outputs
  int tensor = 0;  // where its value is
};

struct MemoryPlan {
  std::vector<TensorPlace> tensors;  // one a tensor of the plan
  std::vector<OutputCopy> copies;    // after the last call
  int64_t arena_bytes = 0;
};

// Internal errors when the plan contradicts itself: a part outside its whole, or not at a multiple
// of 64 bytes where a kernel touches it.
StatusOr<MemoryPlan> PlanMemory(const ModelPlan& plan);

}  // namespace hone
