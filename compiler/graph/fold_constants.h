// Pass: nodes whose inputs are all constant become constants. The importer's GraphBuilder does the
// same while it builds; this catches what other passes made constant.
#pragma once

#include "compiler/graph/graph.h"

namespace hone {

Status FoldConstants(Graph& graph);

}  // namespace hone
