#include "tuner/features/features.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace hone {
namespace {

float Log2(double value) { return static_cast<float>(std::log2(std::max(value, 1e-9))); }
float Ratio(double a, double b) { return static_cast<float>(b > 0 ? a / b : 0); }

// The stage that does most of the work, and the others in one.
const StageFacts* MainStage(const NestFacts& facts) {
  const StageFacts* best = nullptr;
  for (const StageFacts& stage : facts.stages) {
    if (best == nullptr || stage.points * stage.operations > best->points * best->operations) {
      best = &stage;
    }
  }
  return best;
}

// Collects values beside their names, so that the two cannot drift apart.
struct Collector {
  bool named = false;
  std::vector<std::string> names;  // when `named`
  std::vector<float> values;
  void Add(absl::string_view name, float value) {
    if (named) names.emplace_back(name);
    values.push_back(std::isfinite(value) ? value : 0);
  }
  void Add(absl::string_view prefix, absl::string_view name, float value) {
    if (named) names.push_back(absl::StrCat(prefix, name));
    values.push_back(std::isfinite(value) ? value : 0);
  }
};

void AddTensor(absl::string_view prefix, const TensorFacts* tensor, const Target& target,
               Collector* out) {
  const TensorFacts none;
  const TensorFacts& t = tensor != nullptr ? *tensor : none;
  out->Add(prefix, "_bytes_of_l1", Log2(1 + Ratio(t.bytes, target.l1_bytes)));
  out->Add(prefix, "_bytes_of_l2", Log2(1 + Ratio(t.bytes, target.l2_bytes)));
  out->Add(prefix, "_inner_of_l1", Ratio(t.inner_bytes, target.l1_bytes));
  out->Add(prefix, "_inner_of_l2", Ratio(t.inner_bytes, target.l2_bytes));
  out->Add(prefix, "_l1_reread", Log2(1 + Ratio(t.l1_miss_bytes, t.bytes)));
  out->Add(prefix, "_l2_reread", Log2(1 + Ratio(t.l2_miss_bytes, t.bytes)));
  out->Add(prefix, "_gathered", t.gathered ? 1 : 0);
  out->Add(prefix, "_constant", t.constant ? 1 : 0);
}

Collector Collect(const NestFacts& facts, const PriorCost& cost, const Target& target,
                  const MachineProfile& profile, bool named) {
  Collector out{.named = named};
  const StageFacts none;
  const StageFacts* main = MainStage(facts);
  const StageFacts& s = main != nullptr ? *main : none;
  double all_points = 0;
  double copy_points = 0;
  double scalar_points = 0;
  for (const StageFacts& stage : facts.stages) {
    const double work = stage.points * stage.operations;
    all_points += work;
    if (&stage != main) copy_points += work;
    if (stage.lanes <= 1) scalar_points += work;
  }

  // What bounds the candidate, by the prior.
  out.Add("compute_share", Ratio(cost.compute_ns, cost.total_ns));
  out.Add("l2_share", Ratio(cost.l2_ns, cost.total_ns));
  out.Add("l3_share", Ratio(cost.l3_ns, cost.total_ns));
  out.Add("memory_share", Ratio(cost.memory_ns, cost.total_ns));
  out.Add("overhead_share", Ratio(cost.overhead_ns, cost.total_ns));

  // The register tile.
  const double registers = target.VectorRegisters();
  const double accumulators = s.vectors * s.rows;
  out.Add("vectors", static_cast<float>(s.vectors));
  out.Add("rows", static_cast<float>(s.rows));
  out.Add("depth", Log2(s.depth));
  out.Add("accumulators", Ratio(accumulators, registers));
  out.Add("registers", Ratio(accumulators + s.vectors + 1, registers));
  out.Add("block_operations", Log2(1 + s.block_operations));
  out.Add("loads_per_operation", Ratio(s.block_loads, s.block_operations));
  out.Add("vectors_per_row", Ratio(s.vectors, s.rows));
  out.Add("tail_use", static_cast<float>(s.tail_use));
  out.Add("row_fraction", static_cast<float>(s.rows - std::floor(s.rows)));
  out.Add("lanes_used", Ratio(s.lanes, target.FloatLanes()));
  out.Add("microkernel", s.microkernel ? 1 : 0);
  out.Add("reduces", s.reduces ? 1 : 0);
  out.Add("operations", Log2(s.operations));
  out.Add("blocks_per_tile", Log2(1 + Ratio(s.blocks, s.invocations)));
  out.Add("invocations", Log2(1 + s.invocations));
  out.Add("operations_per_tile", Log2(1 + Ratio(s.points, s.invocations)));

  // The other stages.
  out.Add("stages", static_cast<float>(facts.stages.size()));
  out.Add("other_work", Ratio(copy_points, all_points));
  out.Add("scalar_work", Ratio(scalar_points, all_points));

  // Operands of the main stage: the largest constant, the largest other input, what is written.
  const TensorFacts* constant = nullptr;
  const TensorFacts* input = nullptr;
  const TensorFacts* output = nullptr;
  for (const StageFacts& stage : facts.stages) {
    for (const TensorFacts& tensor : stage.tensors) {
      if (&stage == main && !tensor.written) {
        const TensorFacts*& slot = tensor.constant ? constant : input;
        if (slot == nullptr || tensor.bytes > slot->bytes) slot = &tensor;
      }
      if (tensor.written && (output == nullptr || tensor.bytes >= output->bytes)) output = &tensor;
    }
  }
  AddTensor("constant", constant, target, &out);
  AddTensor("input", input, target, &out);
  AddTensor("output", output, target, &out);

  // Threads and the device.
  out.Add("parallel", Log2(s.parallel));
  out.Add("balance", s.parallel > 1 ? Ratio(s.parallel / target.threads,
                                            std::ceil(s.parallel / target.threads))
                                    : 1.0f);
  out.Add("threads", static_cast<float>(target.threads));
  out.Add("machine_lanes", static_cast<float>(target.FloatLanes()));
  out.Add("machine_registers", static_cast<float>(registers));
  out.Add("l2_of_l1", Log2(Ratio(target.l2_bytes, target.l1_bytes)));
  out.Add("l3_of_l2", Log2(1 + Ratio(target.l3_bytes, target.l2_bytes)));
  out.Add("flops_of_l2_byte", Ratio(profile.peak_gflops, profile.l2_gbps));
  out.Add("flops_of_memory_byte", Ratio(profile.peak_gflops, profile.memory_gbps));
  return out;
}

}  // namespace

const std::vector<std::string>& FeatureNames() {
  // Built once: the names do not depend on the candidate.
  static const std::vector<std::string> names = Collect({}, {}, {}, {}, /*named=*/true).names;
  return names;
}

std::vector<float> FeaturesOf(const NestFacts& facts, const PriorCost& cost, const Target& target,
                              const MachineProfile& profile) {
  std::vector<float> values = Collect(facts, cost, target, profile, /*named=*/false).values;
  HONE_CHECK(values.size() == FeatureNames().size());
  return values;
}

}  // namespace hone
