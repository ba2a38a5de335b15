#include "tests/lower/kernel_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "compiler/codegen/code_generator.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/verify.h"
#include "compiler/lower/lower.h"
#include "tests/codegen/kernel_runner.h"

namespace hone {
namespace {

constexpr double kSpecialValues[] = {std::numeric_limits<double>::infinity(),
                                     -std::numeric_limits<double>::infinity(),
                                     std::numeric_limits<double>::quiet_NaN(),
                                     0.0,
                                     -0.0,
                                     0x1p-140,
                                     -0x1p-130};

double DrawReal(bool special, std::mt19937_64& random) {
  if (special && random() % 16 == 0) {
    return kSpecialValues[random() % std::size(kSpecialValues)];
  }
  return std::normal_distribution<float>()(random);
}

// The buffer that has special values, if it is of reals: the one that is read with padding, or any.
// Zeros that pad are skipped or multiplied, as a schedule likes, so what they meet must be finite.
std::string SpecialBuffer(const Workload& workload, std::mt19937_64& random) {
  std::vector<std::string> given;
  for (const Buffer& buffer : workload.buffers) {
    if (buffer.role != BufferRole::kOutput) given.push_back(buffer.name);
  }
  std::set<std::string> padded;
  for (const Stage& stage : workload.stages) {
    Visit(stage.body, [&](const Expr& e) {
      if (e.kind() == ExprKind::kLoad && e->has_otherwise) padded.insert(e->name);
    });
  }
  if (padded.size() > 1 || given.empty()) return "";
  return padded.empty() ? given[random() % given.size()] : *padded.begin();
}

int64_t DrawInt(DType dtype, std::mt19937_64& random) {
  switch (dtype) {
    case DType::kBool:
      return static_cast<int64_t>(random() % 2);
    case DType::kI8:
      return static_cast<int64_t>(random() % 256) - 128;
    case DType::kU8:
      return static_cast<int64_t>(random() % 256);
    case DType::kU16:
    case DType::kU32:
    case DType::kU64:
      return static_cast<int64_t>(random() % 1000);
    default:
      return static_cast<int64_t>(random() % 1000) - 500;
  }
}

// All bits set: NaN as a real, -1 as an integer.
Tensor Poisoned(DType dtype, std::vector<int64_t> shape) {
  Tensor tensor = Tensor::Zeros(dtype, std::move(shape));
  std::fill(tensor.bytes.begin(), tensor.bytes.end(), '\xFF');
  return tensor;
}

Layout LayoutOf(const LoopNest& nest, const std::string& name, size_t rank) {
  const auto found = nest.layouts.find(name);
  return found == nest.layouts.end() ? Layout::Identity(static_cast<int>(rank)) : found->second;
}

// Calls with the position of every logical element, row-major, and where it lies in memory.
template <typename Visit>
void ForEachElement(const std::vector<int64_t>& shape, const Layout& layout, Visit visit) {
  const int64_t count = ElementCount(shape);
  std::vector<int64_t> index(shape.size(), 0);
  for (int64_t i = 0; i < count; ++i) {
    visit(i, layout.Offset(index, shape));
    for (size_t d = shape.size(); d-- > 0;) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
}

void CopyElement(const Tensor& from, int64_t from_at, Tensor& to, int64_t to_at) {
  const int64_t size = DTypeBytes(to.dtype);
  std::copy_n(from.bytes.data() + from_at * size, size, to.bytes.data() + to_at * size);
}

// The memory of every buffer of the program, by name. What no logical element maps to is poisoned
// too: no kernel may count on it, as none writes it.
StatusOr<std::map<std::string, Tensor>> PhysicalBuffers(const Program& program,
                                                        const LoopNest& nest,
                                                        const KernelCase& values) {
  std::map<std::string, Tensor> memory;
  for (const Buffer& buffer : program.buffers) {
    HONE_ASSIGN_OR_RETURN(std::vector<int64_t> shape, EvaluateShape(buffer.shape, values.params));
    Tensor tensor = Poisoned(buffer.dtype, std::move(shape));
    const auto given = values.inputs.find(buffer.name);
    if (given != values.inputs.end()) {
      const Tensor& logical = given->second;
      ForEachElement(logical.shape, LayoutOf(nest, buffer.name, logical.shape.size()),
                     [&](int64_t i, int64_t offset) { CopyElement(logical, i, tensor, offset); });
    }
    memory[buffer.name] = std::move(tensor);
  }
  return memory;
}

// A stage that computes in less than f32, or a value on its way.
DType NarrowestReal(const Workload& workload) {
  DType narrowest = DType::kF32;
  auto see = [&](DType dtype) {
    if (dtype == DType::kBF16 || (dtype == DType::kF16 && narrowest == DType::kF32)) {
      narrowest = dtype;
    }
  };
  for (const Stage& stage : workload.stages) {
    see(stage.dtype);
    Visit(stage.body, [&](const Expr& e) {
      if (e.kind() != ExprKind::kLoad) see(e.type().dtype);
    });
  }
  return narrowest;
}

bool IsDirect(const Schedule& schedule) {
  return CheckAlgorithms(schedule, Numerics::kStrict).ok();
}

double RelativeTolerance(const Workload& workload, const Schedule& schedule) {
  switch (NarrowestReal(workload)) {
    case DType::kF16:
      return 3e-2;
    case DType::kBF16:
      return 2e-1;
    default:
      break;
  }
  int64_t terms = 6;
  for (const Step& step : schedule.steps) {
    if (const auto* split = std::get_if<SplitPrecisionStep>(&step)) {
      terms = std::min(terms, split->terms);
    }
  }
  if (terms == 1) return 1e-1;
  return IsDirect(schedule) ? 2e-4 : 2e-3;
}

// Rms of the finite values.
double SizeOf(const Tensor& tensor) {
  double squares = 0;
  int64_t count = 1;
  for (int64_t i = 0; i < tensor.ElementCount(); ++i) {
    const double value = tensor.Get(i);
    if (!std::isfinite(value)) continue;
    squares += value * value;
    ++count;
  }
  return std::sqrt(squares / static_cast<double>(count));
}

// Infinities and NaN are what IEEE makes of them where the algorithm is direct. Others may give any
// of them for one, and also where these meet finite values in a tile.
bool Agree(double got, double want, double atol, double rtol, bool direct, InputKind kind) {
  if (!direct && !std::isfinite(want)) return !std::isfinite(got);
  if (!direct && kind == InputKind::kSpecial && !std::isfinite(got)) return true;
  if (std::isnan(want)) return std::isnan(got);
  if (std::isinf(want)) return got == want;
  return std::abs(got - want) <= atol + rtol * std::abs(want);
}

}  // namespace

StatusOr<KernelCase> DrawKernelCase(const Workload& workload, const ParamMap& params,
                                    InputKind kind, std::mt19937_64& random) {
  KernelCase values;
  values.params = params;
  values.inputs_kind = kind;
  const std::string special =
      kind == InputKind::kSpecial ? SpecialBuffer(workload, random) : std::string();
  for (const Buffer& buffer : workload.buffers) {
    if (buffer.role == BufferRole::kOutput) continue;
    HONE_ASSIGN_OR_RETURN(std::vector<int64_t> shape, EvaluateShape(buffer.shape, params));
    Tensor tensor = Tensor::Zeros(buffer.dtype, std::move(shape));
    for (int64_t i = 0; i < tensor.ElementCount(); ++i) {
      if (IsFloat(buffer.dtype)) {
        tensor.Set(i, DrawReal(buffer.name == special, random));
      } else {
        tensor.SetInt(i, DrawInt(buffer.dtype, random));
      }
    }
    values.inputs[buffer.name] = std::move(tensor);
  }
  HONE_ASSIGN_OR_RETURN(values.expected, EvaluateWorkload(workload, values.inputs, params));
  return values;
}

StatusOr<TensorMap> RunKernel(const Workload& workload, const Schedule& schedule,
                              const Target& target, const KernelCase& values, RunBy run_by) {
  HONE_ASSIGN_OR_RETURN(const LoopNest nest, ApplySchedule(schedule, workload));
  HONE_ASSIGN_OR_RETURN(const Program program, Lower(nest, target));
  if (const Status verified = Verify(program, ProgramStage::kLowered); !verified.ok()) {
    // What only the whole shows, code generation refuses: a parallel loop that ended up inside
    // another, a register tile read in loops that are not written out.
    for (const char* late : {"not the outermost", "not indexed by a constant"}) {
      if (absl::StrContains(verified.message(), late)) return verified;
    }
    return absl::InternalError(absl::StrCat("the lowered program: ", verified.message()));
  }
  HONE_ASSIGN_OR_RETURN(auto memory, PhysicalBuffers(program, nest, values));
  HONE_ASSIGN_OR_RETURN(const pb::Artifact artifact, GenerateCode(program, target));
  Status ran;
  if (run_by == RunBy::kMachine) {
    std::vector<int64_t> params;
    for (const Param& param : program.params) params.push_back(values.params.at(param.name));
    ran = RunArtifact(artifact, params, memory);
  } else {
    ran = Evaluate(program, values.params, memory);
  }
  // Whatever goes wrong from here on is no refusal.
  if (!ran.ok()) return absl::InternalError(ran.message());
  TensorMap outputs;
  for (const auto& [name, want] : values.expected) {
    Tensor got = Tensor::Zeros(want.dtype, want.shape);
    const Tensor& from = memory.at(name);
    ForEachElement(want.shape, LayoutOf(nest, name, want.shape.size()),
                   [&](int64_t i, int64_t offset) { CopyElement(from, offset, got, i); });
    outputs[name] = std::move(got);
  }
  return outputs;
}

void DrawOpenSizes(const Schedule& schedule, std::mt19937_64& random, ParamMap* params) {
  for (const Step& step : schedule.steps) {
    const auto* open = std::get_if<ParamStep>(&step);
    if (open == nullptr) continue;
    const auto [name, min, max] = open->param;
    const int64_t any = min + static_cast<int64_t>(random() % static_cast<uint64_t>(max - min + 1));
    const uint64_t which = random() % 8;
    (*params)[name] = which == 0   ? min
                      : which == 1 ? max
                      : which < 4  ? std::min(max, any % 4 + min)
                                   : any;
  }
}

bool IsRefusal(const Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsUnimplemented(status) ||
         absl::IsFailedPrecondition(status);
}

std::string DifferenceFromOracle(const Workload& workload, const Schedule& schedule,
                                 const KernelCase& values, const TensorMap& outputs) {
  const double rtol = RelativeTolerance(workload, schedule);
  const bool direct = IsDirect(schedule);
  for (const auto& [name, want] : values.expected) {
    const Tensor& got = outputs.at(name);
    const double atol = IsFloat(want.dtype) ? rtol * (1 + SizeOf(want)) : 0;
    for (int64_t i = 0; i < want.ElementCount(); ++i) {
      const bool agrees = IsFloat(want.dtype) ? Agree(got.Get(i), want.Get(i), atol, rtol, direct,
                                                      values.inputs_kind)
                                              : got.GetInt(i) == want.GetInt(i);
      if (agrees) continue;
      return absl::StrCat(name, " ", ShapeText(want.shape), " element ", i, " is ", got.Get(i),
                          ", not ", want.Get(i));
    }
  }
  return "";
}

}  // namespace hone
