// ModelPlan: what a whole model falls apart into. Made by graph/partition, given layouts by
// graph/assign_layouts, tuned kernel by kernel, and turned into a shared object by package/. Holds
// what to compute and where tensors lie, nothing of how kernels are made.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compiler/ir/layout.h"
#include "compiler/ir/workload.h"

namespace hone {

// Every tensor a kernel takes begins at a multiple of this, as runtime/kernel.h promises kernels.
inline constexpr int64_t kTensorAlignmentBytes = 64;

// A size that is known when the model runs: `top` at the top of a parameter's range, and `scale`
// less for each step below it.
struct RunTimeSize {
  int64_t top = 0;
  int64_t scale = 0;
  int param = -1;  // of the plan; -1: always `top`
};

enum class TensorKind : uint8_t { kInput, kOutput, kConstant, kLocal };

struct PlanTensor {
  std::string name;  // as the model calls it; unique
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;  // logical; at the tops of all parameters
  Layout layout;               // of its memory; identity for inputs and outputs
  TensorKind kind = TensorKind::kLocal;
  // kConstant: the values in identity layout.
  std::shared_ptr<const std::string> data;
  // A tensor that is a part of another's memory (a concatenation's operand, a reshape): the other's
  // index, and where it begins. -1: it has memory of its own.
  int part_of = -1;
  int64_t part_offset_bytes = 0;
  // What `shape` depends on, one entry a dimension; empty: on nothing.
  std::vector<RunTimeSize> run_time_shape;

  int64_t ElementCount() const;  // logical
  int64_t Bytes() const;         // physical
};

// One kernel of the model; calls with an equal workload and equal layouts share it.
struct PlanKernel {
  std::string name;  // for people: "conv3x3_64x56x56"
  Workload workload;
  std::vector<Layout> layouts;  // one a workload buffer; constants: identity
  // What tuning and the database are keyed by: workload text and boundary layouts.
  std::string Key() const;
};

struct PlanCall {
  int kernel = 0;
  std::vector<int> tensors;         // one a workload buffer, in order
  std::string node;                 // the graph nodes it computes, for people
  std::vector<RunTimeSize> params;  // one a parameter of the kernel's workload, in order
};

struct ModelPlan {
  std::string name;
  std::vector<Param> params;  // sizes that stay open until the model runs (plan_for_ranges.h)
  std::vector<PlanTensor> tensors;
  std::vector<PlanKernel> kernels;
  std::vector<PlanCall> calls;  // in an order that can be run
  std::vector<int> inputs;      // tensors, in the model's order
  std::vector<int> outputs;
};

}  // namespace hone
