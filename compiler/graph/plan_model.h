// The table of contents of graph/: which passes make a plan of a graph, and in which order.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/graph/model_plan.h"

namespace hone {

struct PlanOptions {
  int64_t lanes = 1;  // f32 lanes of the target's vectors, for blocked layouts; 1: none
};

StatusOr<ModelPlan> PlanModel(Graph graph, const PlanOptions& options);

}  // namespace hone
