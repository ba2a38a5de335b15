// Every buffer and stage is a PointSource. A whole evaluation fills the stages in order; a sampled
// one asks the output stage for its points, which asks the stages it reads, each keeping what it
// has computed. Either way a stage's values at a row of points come from its PointProgram, run once
// for every point of the reduction, or from contraction.h where the stage is one.
#include "compiler/operators/reference.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/ir/scalar.h"
#include "compiler/operators/contraction.h"
#include "compiler/operators/point_program.h"

namespace hone {
namespace {

// A tensor wholly in memory.
class StoredSource : public PointSource {
 public:
  StoredSource(DType dtype, std::vector<int64_t> shape) : dtype_(dtype), shape_(std::move(shape)) {}

  const std::vector<int64_t>& shape() const override { return shape_; }
  DType dtype() const { return dtype_; }
  std::vector<double>& reals() { return reals_; }
  std::vector<int64_t>& ints() { return ints_; }

  Status Read(const int64_t* positions, int count, double* reals, int64_t* ints) override {
    if (IsFloat(dtype_)) {
      for (int i = 0; i < count; ++i) reals[i] = reals_[positions[i]];
    } else {
      for (int i = 0; i < count; ++i) ints[i] = ints_[positions[i]];
    }
    return absl::OkStatus();
  }

 private:
  const DType dtype_;
  const std::vector<int64_t> shape_;
  std::vector<double> reals_;
  std::vector<int64_t> ints_;
};

// The value of `combiner` on two values, as ir/workload.h's Combine says it.
double CombineReal(Combiner combiner, double a, double b) {
  switch (combiner) {
    case Combiner::kSum:
      return a + b;
    case Combiner::kProd:
      return a * b;
    case Combiner::kMax:
      return a > b || std::isnan(a) ? a : b;
    case Combiner::kMin:
      return a < b || std::isnan(a) ? a : b;
    case Combiner::kNone:
      break;
  }
  return b;
}

int64_t CombineInt(Combiner combiner, DType dtype, int64_t a, int64_t b) {
  const bool less =
      dtype == DType::kU64 ? static_cast<uint64_t>(a) < static_cast<uint64_t>(b) : a < b;
  switch (combiner) {
    case Combiner::kSum:
      return WrapToDType(static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)),
                         dtype);
    case Combiner::kProd:
      return WrapToDType(static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b)),
                         dtype);
    case Combiner::kMax:
      return less ? b : a;
    case Combiner::kMin:
      return less ? a : b;
    case Combiner::kNone:
      break;
  }
  return b;
}

// One stage: its compiled body and how to run it at a row of points.
class StageEvaluator {
 public:
  static StatusOr<std::unique_ptr<StageEvaluator>> Make(
      const Stage& stage, const ParamMap& params, Arithmetic arithmetic,
      const std::function<StatusOr<PointSource*>(const std::string&)>& sources) {
    std::unique_ptr<StageEvaluator> evaluator(new StageEvaluator(stage));
    if (arithmetic == Arithmetic::kSequential) evaluator->rounding_ = stage.dtype;
    std::vector<Expr> extents, reduce_extents;
    std::vector<std::string> rows, uniforms;
    for (const Dim& dim : stage.dims) {
      extents.push_back(dim.extent);
      rows.push_back(dim.name);
    }
    for (const Dim& dim : stage.reduce) {
      reduce_extents.push_back(dim.extent);
      uniforms.push_back(dim.name);
    }
    HONE_ASSIGN_OR_RETURN(evaluator->extents_, EvaluateShape(extents, params));
    HONE_ASSIGN_OR_RETURN(evaluator->reduce_extents_, EvaluateShape(reduce_extents, params));
    for (const auto& [name, value] : params) {
      uniforms.push_back(name);
      evaluator->param_values_.push_back(value);
    }
    HONE_ASSIGN_OR_RETURN(evaluator->program_,
                          PointProgram::Compile(stage.body, rows, uniforms, sources, arithmetic));
    if (stage.combiner != Combiner::kNone) {
      const Expr neutral = NeutralValue(stage.combiner, stage.dtype);
      evaluator->neutral_real_ = neutral->float_value;
      evaluator->neutral_int_ = neutral->int_value;
    }
    return evaluator;
  }

  const std::vector<int64_t>& extents() const { return extents_; }
  const std::vector<int64_t>& reduce_extents() const { return reduce_extents_; }
  // What reals are rounded to after every operation; kF64: not at all.
  DType rounding() const { return rounding_; }

  // Values at the points rows[d][i], count <= kPointRow.
  Status At(const std::vector<const int64_t*>& rows, int count, double* reals, int64_t* ints) {
    const bool real = IsFloat(stage_.dtype);
    if (stage_.combiner == Combiner::kNone) {
      HONE_ASSIGN_OR_RETURN(PointRow row, program_->Evaluate(rows, param_values_, count));
      if (real) {
        std::copy_n(row.reals, count, reals);
      } else {
        std::copy_n(row.ints, count, ints);
      }
      return absl::OkStatus();
    }
    if (real) {
      std::fill_n(reals, count, neutral_real_);
    } else {
      std::fill_n(ints, count, neutral_int_);
    }
    const int64_t reductions = ElementCount(reduce_extents_);
    std::vector<int64_t> uniforms(reduce_extents_.size(), 0);
    uniforms.insert(uniforms.end(), param_values_.begin(), param_values_.end());
    for (int64_t r = 0; r < reductions; ++r) {
      HONE_ASSIGN_OR_RETURN(PointRow row, program_->Evaluate(rows, uniforms, count));
      for (int i = 0; i < count && real; ++i) {
        reals[i] = RoundToDType(CombineReal(stage_.combiner, reals[i], row.reals[i]), rounding_);
      }
      for (int i = 0; i < count && !real; ++i) {
        ints[i] = CombineInt(stage_.combiner, stage_.dtype, ints[i], row.ints[i]);
      }
      for (size_t d = reduce_extents_.size(); d-- > 0;) {
        if (++uniforms[d] < reduce_extents_[d]) break;
        uniforms[d] = 0;
      }
    }
    return absl::OkStatus();
  }

 private:
  explicit StageEvaluator(const Stage& stage) : stage_(stage) {}

  const Stage& stage_;
  DType rounding_ = DType::kF64;
  std::vector<int64_t> extents_;
  std::vector<int64_t> reduce_extents_;
  std::vector<int64_t> param_values_;
  std::unique_ptr<PointProgram> program_;
  double neutral_real_ = 0;
  int64_t neutral_int_ = 0;
};

// Splits flat positions into one row a dimension.
std::vector<std::vector<int64_t>> Unflatten(const int64_t* positions, int count,
                                            const std::vector<int64_t>& shape) {
  std::vector<std::vector<int64_t>> rows(shape.size(), std::vector<int64_t>(count));
  for (int i = 0; i < count; ++i) {
    int64_t rest = positions[i];
    for (size_t d = shape.size(); d-- > 0;) {
      rows[d][i] = rest % shape[d];
      rest /= shape[d];
    }
  }
  return rows;
}

std::vector<const int64_t*> Pointers(const std::vector<std::vector<int64_t>>& rows) {
  std::vector<const int64_t*> pointers;
  for (const auto& row : rows) pointers.push_back(row.data());
  return pointers;
}

// The stored operands of a contraction, or null where one of them is not wholly in memory.
struct ContractionOperands {
  StoredSource* left = nullptr;
  StoredSource* right = nullptr;
};

// A stage whose values are computed where they are asked for.
class DemandedSource : public PointSource {
 public:
  DemandedSource(const Stage& stage, std::unique_ptr<StageEvaluator> evaluator,
                 std::optional<Contraction> contraction, ContractionOperands operands)
      : stage_(stage),
        evaluator_(std::move(evaluator)),
        contraction_(std::move(contraction)),
        operands_(operands) {}

  const std::vector<int64_t>& shape() const override { return evaluator_->extents(); }

  Status Read(const int64_t* positions, int count, double* reals, int64_t* ints) override {
    std::vector<int64_t> missing;
    for (int i = 0; i < count; ++i) {
      if (known_.try_emplace(positions[i]).second) missing.push_back(positions[i]);
    }
    if (!missing.empty()) {
      const int missing_count = static_cast<int>(missing.size());
      const auto rows = Unflatten(missing.data(), missing_count, shape());
      std::vector<double> new_reals(missing_count);
      std::vector<int64_t> new_ints(missing_count);
      if (contraction_ && operands_.left != nullptr && operands_.right != nullptr) {
        ComputeContractionAt(*contraction_, operands_.left->reals(), operands_.right->reals(),
                             Pointers(rows), missing_count, evaluator_->rounding(),
                             new_reals.data());
      } else {
        HONE_RETURN_IF_ERROR(
            evaluator_->At(Pointers(rows), missing_count, new_reals.data(), new_ints.data()));
      }
      for (int i = 0; i < missing_count; ++i) known_[missing[i]] = {new_reals[i], new_ints[i]};
    }
    const bool real = IsFloat(stage_.dtype);
    for (int i = 0; i < count; ++i) {
      const Value& value = known_.at(positions[i]);
      if (real) {
        reals[i] = value.real;
      } else {
        ints[i] = value.integer;
      }
    }
    return absl::OkStatus();
  }

 private:
  struct Value {
    double real = 0;
    int64_t integer = 0;
  };

  const Stage& stage_;
  std::unique_ptr<StageEvaluator> evaluator_;
  std::optional<Contraction> contraction_;
  ContractionOperands operands_;
  std::unordered_map<int64_t, Value> known_;
};

// The sources of one evaluation, by name.
class Evaluation {
 public:
  Evaluation(const Workload& workload, const ParamMap& params, Arithmetic arithmetic)
      : workload_(workload), params_(params), arithmetic_(arithmetic) {}

  // Checks parameters and takes the inputs in.
  Status Load(const TensorMap& inputs) {
    for (const Param& param : workload_.params) {
      auto found = params_.find(param.name);
      if (found == params_.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat("parameter '", param.name, "' has no value"));
      }
    }
    for (const Buffer& buffer : workload_.buffers) {
      if (buffer.role == BufferRole::kOutput) continue;
      auto found = inputs.find(buffer.name);
      if (found == inputs.end()) {
        return absl::InvalidArgumentError(absl::StrCat("no value for buffer '", buffer.name, "'"));
      }
      const Tensor& tensor = found->second;
      HONE_ASSIGN_OR_RETURN(std::vector<int64_t> shape, EvaluateShape(buffer.shape, params_));
      if (tensor.dtype != buffer.dtype || tensor.shape != shape) {
        return absl::InvalidArgumentError(absl::StrCat(
            "buffer '", buffer.name, "' is ", DTypeName(buffer.dtype), ShapeText(shape), ", not ",
            DTypeName(tensor.dtype), ShapeText(tensor.shape)));
      }
      auto source = std::make_unique<StoredSource>(buffer.dtype, shape);
      if (IsFloat(buffer.dtype)) {
        source->reals() = tensor.ToDoubles();
      } else {
        source->ints() = tensor.ToInts();
      }
      stored_[buffer.name] = source.get();
      sources_[buffer.name] = std::move(source);
    }
    return absl::OkStatus();
  }

  // Computes the whole stage.
  Status Fill(const Stage& stage) {
    HONE_ASSIGN_OR_RETURN(auto evaluator, MakeEvaluator(stage));
    auto source = std::make_unique<StoredSource>(stage.dtype, evaluator->extents());
    const std::optional<Contraction> contraction = Match(stage, *evaluator);
    const ContractionOperands operands = OperandsOf(contraction);
    if (operands.left != nullptr && operands.right != nullptr) {
      source->reals() =
          ComputeContraction(*contraction, operands.left->reals(), operands.right->reals());
    } else {
      HONE_RETURN_IF_ERROR(FillByPoints(*evaluator, *source));
    }
    stored_[stage.name] = source.get();
    sources_[stage.name] = std::move(source);
    return absl::OkStatus();
  }

  // Makes the stage ready to be asked.
  Status Demand(const Stage& stage) {
    HONE_ASSIGN_OR_RETURN(auto evaluator, MakeEvaluator(stage));
    std::optional<Contraction> contraction = Match(stage, *evaluator);
    const ContractionOperands operands = OperandsOf(contraction);
    sources_[stage.name] = std::make_unique<DemandedSource>(stage, std::move(evaluator),
                                                            std::move(contraction), operands);
    return absl::OkStatus();
  }

  PointSource* source(absl::string_view name) { return sources_.at(std::string(name)).get(); }
  StoredSource* stored(absl::string_view name) { return stored_.at(std::string(name)); }

 private:
  StatusOr<std::unique_ptr<StageEvaluator>> MakeEvaluator(const Stage& stage) {
    return StageEvaluator::Make(
        stage, params_, arithmetic_, [this](const std::string& name) -> StatusOr<PointSource*> {
          auto found = sources_.find(name);
          if (found == sources_.end()) {
            return absl::InvalidArgumentError(
                absl::StrCat("there is no buffer or earlier stage '", name, "'"));
          }
          return found->second.get();
        });
  }

  std::optional<Contraction> Match(const Stage& stage, const StageEvaluator& evaluator) {
    return MatchContraction(stage, evaluator.extents(), evaluator.reduce_extents(),
                            [this](const std::string& name) { return source(name)->shape(); });
  }

  ContractionOperands OperandsOf(const std::optional<Contraction>& contraction) {
    if (!contraction) return {};
    auto left = stored_.find(contraction->left.buffer);
    auto right = stored_.find(contraction->right.buffer);
    return {.left = left == stored_.end() ? nullptr : left->second,
            .right = right == stored_.end() ? nullptr : right->second};
  }

  static Status FillByPoints(StageEvaluator& evaluator, StoredSource& into) {
    const int64_t total = ElementCount(into.shape());
    const bool real = IsFloat(into.dtype());
    if (real) {
      into.reals().resize(total);
    } else {
      into.ints().resize(total);
    }
    std::vector<int64_t> positions(kPointRow);
    for (int64_t first = 0; first < total; first += kPointRow) {
      const int count = static_cast<int>(std::min<int64_t>(kPointRow, total - first));
      std::iota(positions.begin(), positions.end(), first);
      const auto rows = Unflatten(positions.data(), count, into.shape());
      HONE_RETURN_IF_ERROR(evaluator.At(Pointers(rows), count,
                                        real ? &into.reals()[first] : nullptr,
                                        real ? nullptr : &into.ints()[first]));
    }
    return absl::OkStatus();
  }

  const Workload& workload_;
  const ParamMap& params_;
  const Arithmetic arithmetic_;
  std::map<std::string, std::unique_ptr<PointSource>> sources_;
  std::map<std::string, StoredSource*> stored_;  // those of sources_ that are wholly in memory
};

}  // namespace

StatusOr<std::vector<int64_t>> EvaluateShape(const std::vector<Expr>& shape,
                                             const ParamMap& params) {
  std::map<std::string, Expr> values;
  for (const auto& [name, value] : params) values[name] = Int(value);
  std::vector<int64_t> extents;
  for (const Expr& extent : shape) {
    const Expr folded = Substitute(extent, values);
    if (!folded.IsInt())
      return absl::InvalidArgumentError("an extent has a parameter with no value");
    extents.push_back(folded->int_value);
  }
  return extents;
}

StatusOr<TensorMap> EvaluateWorkload(const Workload& workload, const TensorMap& inputs,
                                     const ParamMap& params) {
  Evaluation evaluation(workload, params, Arithmetic::kExact);
  HONE_RETURN_IF_ERROR(evaluation.Load(inputs));
  for (const Stage& stage : workload.stages) HONE_RETURN_IF_ERROR(evaluation.Fill(stage));
  TensorMap outputs;
  for (const Buffer& buffer : workload.buffers) {
    if (buffer.role != BufferRole::kOutput) continue;
    StoredSource& source = *evaluation.stored(buffer.name);
    Tensor tensor = Tensor::Zeros(buffer.dtype, source.shape());
    const int64_t total = tensor.ElementCount();
    for (int64_t i = 0; i < total; ++i) {
      if (IsFloat(buffer.dtype)) {
        tensor.Set(i, source.reals()[i]);
      } else {
        tensor.SetInt(i, source.ints()[i]);
      }
    }
    outputs[buffer.name] = std::move(tensor);
  }
  return outputs;
}

StatusOr<std::vector<double>> EvaluateSamples(const Workload& workload, const TensorMap& inputs,
                                              absl::string_view output,
                                              const std::vector<std::vector<int64_t>>& points,
                                              const ParamMap& params, Arithmetic arithmetic) {
  const Buffer* buffer = workload.FindBuffer(output);
  if (buffer == nullptr || buffer->role != BufferRole::kOutput) {
    return absl::InvalidArgumentError(absl::StrCat("'", output, "' is no output of the workload"));
  }
  Evaluation evaluation(workload, params, arithmetic);
  HONE_RETURN_IF_ERROR(evaluation.Load(inputs));
  for (const Stage& stage : workload.stages) HONE_RETURN_IF_ERROR(evaluation.Demand(stage));
  PointSource& source = *evaluation.source(output);
  std::vector<int64_t> positions;
  for (const std::vector<int64_t>& point : points) {
    int64_t position = 0;
    bool inside = point.size() == source.shape().size();
    for (size_t d = 0; inside && d < point.size(); ++d) {
      inside = point[d] >= 0 && point[d] < source.shape()[d];
      position = position * source.shape()[d] + point[d];
    }
    if (!inside) {
      return absl::OutOfRangeError(absl::StrCat("point ", ShapeText(point), " lies outside ",
                                                output, " ", ShapeText(source.shape())));
    }
    positions.push_back(position);
  }
  std::vector<double> values(points.size());
  std::vector<int64_t> ints(points.size());
  for (size_t first = 0; first < points.size(); first += kPointRow) {
    const int count = static_cast<int>(std::min<size_t>(kPointRow, points.size() - first));
    HONE_RETURN_IF_ERROR(source.Read(&positions[first], count, &values[first], &ints[first]));
  }
  if (!IsFloat(buffer->dtype)) values.assign(ints.begin(), ints.end());
  return values;
}

}  // namespace hone
