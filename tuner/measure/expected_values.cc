// The bound of a class is a factor on the rms error of sequential fp32 code. Both that error and a
// candidate's are known from n points only, so a candidate is refused only when chance cannot
// explain what was seen. The mean square of n independent errors strays from its expectation by
// sqrt((kurtosis - 1) / n) of it, and the ratio of two such by sqrt(2) as much; a candidate may lie
// kDeviations of that above the bound:
//
//   chance        = exp(kDeviations / 2 * sqrt(2 * (kurtosis - 1) / n))
//   rms_error_max = factor * chance * sequential rms error
//
// where chance is 1.2 at 2,048 points and 2.2 at 128. The kurtosis is measured, but
// not believed below 7, that of rounding errors along a random walk, which sums of N(0,1) products
// are: the variance of the error is the integral W of the squared walk, and 3 E[W^2] / E[W]^2 = 7.
// Points that share a sum share its error and count as one.
//
// Class bf16 rounds the operands, not the sums: its bound is kBf16Error of the operands' norms,
// which for sums of n products of N(0,1) values is sqrt(n) of that relative to the results; and
// never less than two roundings to bf16, which is what short sums err by.
//
// Where sequential code hardly errs (copies, one rounding) the class's bound would be below what
// any honest kernel needs; so a few units in the last place of the outputs' rms are always allowed.
#include "tuner/measure/expected_values.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "compiler/ir/layout.h"
#include "compiler/lower/expand_math.h"
#include "compiler/operators/reference.h"
#include "runtime/fill.h"
#include "tuner/space/access.h"

namespace hone {
namespace {

constexpr int kSamplePointsMin = 128;
constexpr int kSamplePointsMax = 2048;
constexpr double kSampledTermsMax = 2e6;  // products that the oracle computes, some milliseconds

constexpr double kDeviations = 5;
constexpr double kKurtosisMin = 7;
constexpr double kIndependentMin = 16;  // fewer say nothing
constexpr double kUlp = 0x1p-23;        // of fp32
constexpr double kAlwaysAllowedUlps = 2;
constexpr double kBf16Error = 1e-4;
constexpr double kBf16Rounding = 0x1p-9;  // of one operand, at most
constexpr double kUlpsOfFunction = 3;     // the largest error of lower/expand_math.h

struct BoundaryBuffer {
  const Buffer* buffer = nullptr;
  int index = 0;  // in the manifest
  Layout layout;
  std::vector<int64_t> shape;  // logical
};

StatusOr<std::vector<BoundaryBuffer>> MatchBuffers(const Workload& workload,
                                                   const pb::Manifest& manifest) {
  std::vector<BoundaryBuffer> found;
  for (int i = 0; i < manifest.buffers_size(); ++i) {
    const pb::BufferInfo& info = manifest.buffers(i);
    if (info.role() == pb::BUFFER_ROLE_PREPARED) continue;
    BoundaryBuffer boundary;
    boundary.buffer = workload.FindBuffer(info.name());
    if (boundary.buffer == nullptr) {
      return absl::InternalError(
          absl::StrCat("the artifact has a buffer '", info.name(), "' that the workload lacks"));
    }
    boundary.index = i;
    for (const Expr& extent : boundary.buffer->shape) {
      boundary.shape.push_back(ExtentValue(extent, workload.params));
    }
    boundary.layout = Layout::Identity(static_cast<int>(boundary.shape.size()));
    if (!info.layout().empty()) {
      HONE_ASSIGN_OR_RETURN(boundary.layout, Layout::Parse(info.layout()));
    }
    found.push_back(std::move(boundary));
  }
  return found;
}

// Terms of the longest sum.
double TermsOf(const Workload& workload) {
  double terms = 1;
  for (const Stage& stage : workload.stages) {
    if (stage.combiner != Combiner::kSum) continue;
    double reduced = 1;
    for (const Dim& dim : stage.reduce) {
      reduced *= static_cast<double>(ExtentValue(dim.extent, workload.params));
    }
    terms = std::max(terms, reduced);
  }
  return terms;
}

// Terms that one point of every output takes, with all that it needs of the stages before it: for
// attention a whole row of scores, each a sum of its own.
double TermsOfAPoint(const Workload& workload) {
  std::map<std::string, std::vector<double>> needed;  // extents of each tensor
  for (const Buffer& buffer : workload.buffers) {
    if (buffer.role == BufferRole::kOutput) needed[buffer.name].assign(buffer.shape.size(), 1);
  }
  double terms = 0;
  for (auto stage = workload.stages.rbegin(); stage != workload.stages.rend(); ++stage) {
    const auto of_stage = needed.find(stage->name);
    if (of_stage == needed.end()) continue;
    std::vector<double> extents = of_stage->second;
    for (const Dim& dim : stage->reduce) {
      extents.push_back(static_cast<double>(ExtentValue(dim.extent, workload.params)));
    }
    double of_this = 1;
    for (double extent : extents) of_this *= extent;
    terms += of_this;
    for (const Access& access : AccessesOf(stage->body)) {
      if (workload.FindStage(access.tensor) == nullptr) continue;
      const std::vector<Expr> shape = workload.ShapeOf(access.tensor);
      std::vector<double>& region =
          needed.try_emplace(access.tensor, std::vector<double>(shape.size(), 1)).first->second;
      for (size_t i = 0; i < shape.size(); ++i) {
        const auto whole = static_cast<double>(ExtentValue(shape[i], workload.params));
        const double span = IndexSpan(access.indices[i], *stage).Over(extents);
        region[i] = std::max(region[i], std::min(whole, span));
      }
    }
  }
  return std::max(1.0, terms);
}

// How many of `points` outputs have errors of their own: no more than there are different sums.
double IndependentPoints(const Workload& workload, double points) {
  for (const Stage& stage : workload.stages) {
    if (stage.combiner != Combiner::kSum && stage.combiner != Combiner::kProd) continue;
    double sums = 1;
    for (const Dim& dim : stage.dims) {
      sums *= static_cast<double>(ExtentValue(dim.extent, workload.params));
    }
    points = std::min(points, sums);
  }
  return points;
}

int MathFunctionsIn(const Expr& e) {
  int count = 0;
  Visit(e, [&](const Expr& node) { count += IsMathFunction(node); });
  return count;
}

// What sequential fp32 code errs by at the sampled points.
struct SequentialErrors {
  double points = 0;
  double value_squares = 0;
  double squares = 0;
  double fourth_powers = 0;

  void Add(double sequential, double exact) {
    if (!std::isfinite(exact)) return;
    const double square = (sequential - exact) * (sequential - exact);
    points += 1;
    value_squares += exact * exact;
    squares += square;
    fourth_powers += square * square;
  }
  double RelativeRms() const { return std::sqrt(squares / value_squares); }
  double Kurtosis() const { return squares > 0 ? points * fourth_powers / (squares * squares) : 0; }
};

// See the head of this file; 0 where too little is known to refuse anything.
double RmsErrorMax(const Workload& workload, Numerics numerics, const SequentialErrors& errors) {
  const double factor = SequentialErrorFactor(numerics);
  const double independent = IndependentPoints(workload, errors.points);
  const bool is_bf16 = numerics == Numerics::kBf16;
  const bool is_bounded = factor > 0 || is_bf16;
  if (!is_bounded || independent < kIndependentMin || !std::isfinite(errors.squares)) return 0;
  const double kurtosis = std::max(kKurtosisMin, errors.Kurtosis());
  const double chance = std::exp(kDeviations / 2 * std::sqrt(2 * (kurtosis - 1) / independent));
  int functions = 0;
  for (const Stage& stage : workload.stages) functions += MathFunctionsIn(stage.body);
  const double always_allowed = (kAlwaysAllowedUlps + kUlpsOfFunction * functions) * kUlp;
  const double bound = is_bf16
                           ? std::max(kBf16Error * std::sqrt(TermsOf(workload)), 2 * kBf16Rounding)
                           : factor * errors.RelativeRms();
  return std::max(always_allowed, chance * bound);
}

}  // namespace

int SamplePointsOf(const Workload& workload) {
  return static_cast<int>(std::clamp(kSampledTermsMax / TermsOfAPoint(workload),
                                     1.0 * kSamplePointsMin, 1.0 * kSamplePointsMax));
}

StatusOr<ExpectedValues> ComputeExpectedValues(const Workload& workload,
                                               const pb::Manifest& manifest, Numerics numerics,
                                               uint64_t seed, int points) {
  HONE_ASSIGN_OR_RETURN(std::vector<BoundaryBuffer> buffers, MatchBuffers(workload, manifest));
  ParamMap params;
  for (const Param& param : workload.params) params[param.name] = param.max;
  TensorMap inputs;
  for (const BoundaryBuffer& boundary : buffers) {
    if (boundary.buffer->role == BufferRole::kOutput) continue;
    const DType dtype = boundary.buffer->dtype;
    const int64_t elements = ElementCount(boundary.layout.PhysicalShape(boundary.shape));
    std::string memory(elements * DTypeBytes(dtype), '\0');
    if (hone_fill(memory.data(), elements, std::string(DTypeName(dtype)).c_str(), seed,
                  static_cast<uint32_t>(boundary.index)) != 0) {
      return absl::InternalError(absl::StrCat("cannot fill a buffer of ", DTypeName(dtype)));
    }
    Tensor tensor = Tensor::Zeros(dtype, boundary.shape);
    ConvertLayout(memory.data(), boundary.layout, tensor.bytes.data(),
                  Layout::Identity(static_cast<int>(boundary.shape.size())), boundary.shape,
                  DTypeBytes(dtype));
    inputs[boundary.buffer->name] = std::move(tensor);
  }
  ExpectedValues expected;
  SequentialErrors errors;
  for (const BoundaryBuffer& boundary : buffers) {
    if (boundary.buffer->role != BufferRole::kOutput) continue;
    const int64_t total = ElementCount(boundary.shape);
    const int64_t count = std::min<int64_t>(points, total);
    std::vector<std::vector<int64_t>> at;
    for (int64_t p = 0; p < count; ++p) {
      // The first and the last element are among them.
      int64_t flat = count == 1 ? 0 : (total - 1) * p / (count - 1);
      std::vector<int64_t> point(boundary.shape.size());
      for (size_t d = point.size(); d-- > 0;) {
        point[d] = flat % boundary.shape[d];
        flat /= boundary.shape[d];
      }
      at.push_back(std::move(point));
    }
    HONE_ASSIGN_OR_RETURN(std::vector<double> values,
                          EvaluateSamples(workload, inputs, boundary.buffer->name, at, params));
    HONE_ASSIGN_OR_RETURN(std::vector<double> sequential,
                          EvaluateSamples(workload, inputs, boundary.buffer->name, at, params,
                                          Arithmetic::kSequential));
    for (size_t p = 0; p < at.size(); ++p) {
      pb::SamplePoint sample;
      sample.set_buffer(boundary.index);
      sample.set_element(boundary.layout.Offset(at[p], boundary.shape));
      sample.set_value(values[p]);
      expected.samples.push_back(std::move(sample));
      errors.Add(sequential[p], values[p]);
    }
  }
  const bool all_f32 = std::all_of(buffers.begin(), buffers.end(), [](const BoundaryBuffer& b) {
    return b.buffer->role != BufferRole::kOutput || b.buffer->dtype == DType::kF32;
  });
  if (!all_f32 || errors.value_squares <= 0) return expected;
  expected.sequential_rms_error = errors.RelativeRms();
  expected.rms_error_max = RmsErrorMax(workload, numerics, errors);
  return expected;
}

pb::Tolerance ToleranceOf(const Workload& workload, Numerics numerics) {
  const bool narrow = std::any_of(
      workload.stages.begin(), workload.stages.end(),
      [](const Stage& stage) { return stage.dtype == DType::kF16 || stage.dtype == DType::kBF16; });
  // What is wrong misses a term, 1 / sqrt(terms) of the value: much more than what a class allows.
  // That of class bf16 comes closest to it: six deviations of its sums may be as much as a term.
  const bool is_bf16 = numerics == Numerics::kBf16;
  const double coarser = std::max(1.0, SequentialErrorFactor(numerics) / 4);
  pb::Tolerance tolerance;
  const bool integers = std::none_of(
      workload.buffers.begin(), workload.buffers.end(),
      [](const Buffer& b) { return b.role == BufferRole::kOutput && IsFloat(b.dtype); });
  if (integers) {
    // Sums of integers are exact; what floats made of them may round to the next one.
    const bool rounds =
        std::any_of(workload.stages.begin(), workload.stages.end(), [](const Stage& stage) {
          bool floats = false;
          Visit(stage.body, [&](const Expr& e) { floats |= IsFloat(e.type().dtype); });
          return floats;
        });
    tolerance.set_atol(rounds ? 1 : 0.5);
    return tolerance;
  }
  tolerance.set_rtol(is_bf16 ? 2e-2 : coarser * (narrow ? 1e-2 : 2e-4));
  tolerance.set_atol((is_bf16 ? 2e-2 : coarser * (narrow ? 4e-3 : 2e-5)) *
                     std::sqrt(TermsOf(workload)));
  return tolerance;
}

}  // namespace hone
