// How `hone` names a kernel of which it has only the Workload: by the shapes it takes and gives.
// For tables of records, which know no model; a model's own kernels have names
// (graph/model_plan.h).
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "compiler/ir/workload.h"

namespace hone {

// "1x64x56x56 * 64x64x3x3 -> 1x64x56x56": inputs and constants, then outputs. A parameter stands by
// its name. Long lists are cut after four shapes: "a * b * c * d ..(+7) -> e".
std::string KernelCaption(const Workload& workload);

// The same from a workload's text form; the text's digest when this version cannot read it.
std::string KernelCaption(absl::string_view workload_text);

}  // namespace hone
