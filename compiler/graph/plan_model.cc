#include "compiler/graph/plan_model.h"

#include "compiler/graph/assign_layouts.h"
#include "compiler/graph/fold_batch_norm.h"
#include "compiler/graph/fold_constants.h"
#include "compiler/graph/fuse.h"
#include "compiler/graph/fuse_attention.h"
#include "compiler/graph/fuse_prologues.h"
#include "compiler/graph/fuse_rows.h"
#include "compiler/graph/partition.h"
#include "compiler/graph/simplify.h"

namespace hone {

StatusOr<ModelPlan> PlanModel(Graph graph, const PlanOptions& options) {
  // First what removes nodes: dead branches must not count as readers, and a convolution's reader
  // must be the activation behind its normalisation, when these join it.
  HONE_RETURN_IF_ERROR(FoldConstants(graph));
  Simplify(graph);
  FoldBatchNorm(graph);
  Fuse(graph);
  FuseAttention(graph);
  FuseRows(graph);
  FusePrologues(graph);
  ModelPlan plan = Partition(graph);
  AssignLayouts(plan, options.lanes);
  return plan;
}

}  // namespace hone
