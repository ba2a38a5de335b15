// Pass: a graph becomes a ModelPlan, one kernel call a node. Reshapes are other views of the same
// memory; concatenations whose operands lie one after another in memory are written in place by
// what computes the operands; both are PlanTensor::part_of, and cost nothing.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/graph/model_plan.h"

namespace hone {

// All layouts are identities; part_of always names a tensor that is part of none.
ModelPlan Partition(const Graph& graph);

}  // namespace hone
