// Two layers of boosters: the base learns from earlier sessions once; the layer above learns, again
// and again, what the base leaves unexplained of this session's rows. In each layer every booster
// sees another part of the rows: their mean predicts, their disagreement is the spread.
//
//   residual = mean(base boosters) + mean(own boosters)
//   spread   = sqrt(var(base boosters) + var(own boosters))
#include "tuner/cost_model/xgboost_cost_model.h"

#include <xgboost/c_api.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

// Fewer rows than this are not divided between the boosters.
constexpr size_t kRowsToDivide = 12;

Status Check(int code, absl::string_view what) {
  if (code == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("xgboost: ", what, ": ", XGBGetLastError()));
}

struct MatrixDeleter {
  void operator()(void* handle) const { XGDMatrixFree(handle); }
};
struct BoosterDeleter {
  void operator()(void* handle) const { XGBoosterFree(handle); }
};
using Matrix = std::unique_ptr<void, MatrixDeleter>;
using Booster = std::unique_ptr<void, BoosterDeleter>;

StatusOr<Matrix> MakeMatrix(const std::vector<std::vector<float>>& rows) {
  const size_t columns = rows.empty() ? 0 : rows[0].size();
  std::vector<float> dense;
  dense.reserve(rows.size() * columns);
  for (const std::vector<float>& row : rows) {
    if (row.size() != columns) {
      return absl::InvalidArgumentError("cost model: rows of features differ in length");
    }
    dense.insert(dense.end(), row.begin(), row.end());
  }
  DMatrixHandle handle = nullptr;
  HONE_RETURN_IF_ERROR(
      Check(XGDMatrixCreateFromMat(dense.data(), rows.size(), columns, NAN, &handle), "matrix"));
  return Matrix(handle);
}

// Mean and variance of what the boosters of one layer say of each row.
struct LayerPrediction {
  std::vector<double> mean;
  std::vector<double> variance;
};

class XgboostCostModel : public CostModel {
 public:
  explicit XgboostCostModel(const XgboostOptions& options) : options_(options) {}

  Status TrainBase(const TrainingSet& set) override {
    if (set.size() == 0) return absl::OkStatus();
    HONE_ASSIGN_OR_RETURN(base_, TrainLayer(set));
    return absl::OkStatus();
  }

  Status Train(const TrainingSet& set) override {
    if (set.size() == 0) return absl::OkStatus();
    if (base_.empty()) {
      HONE_ASSIGN_OR_RETURN(own_, TrainLayer(set));
      return absl::OkStatus();
    }
    HONE_ASSIGN_OR_RETURN(const Matrix matrix, MakeMatrix(set.features));
    TrainingSet unexplained = set;
    const LayerPrediction base = PredictLayer(base_, matrix.get(), set.size());
    for (size_t row = 0; row < set.size(); ++row) {
      unexplained.residuals[row] -= static_cast<float>(base.mean[row]);
    }
    HONE_ASSIGN_OR_RETURN(own_, TrainLayer(unexplained));
    return absl::OkStatus();
  }

  bool trained() const override { return !base_.empty() || !own_.empty(); }

  std::vector<Residual> Predict(const std::vector<std::vector<float>>& features) const override {
    std::vector<Residual> residuals(features.size());
    if (!trained() || features.empty()) return residuals;
    const StatusOr<Matrix> matrix = MakeMatrix(features);
    if (!matrix.ok()) return residuals;
    const LayerPrediction base = PredictLayer(base_, matrix->get(), features.size());
    const LayerPrediction own = PredictLayer(own_, matrix->get(), features.size());
    for (size_t row = 0; row < features.size(); ++row) {
      residuals[row].mean = static_cast<float>(base.mean[row] + own.mean[row]);
      residuals[row].spread = static_cast<float>(std::sqrt(base.variance[row] + own.variance[row]));
    }
    return residuals;
  }

 private:
  StatusOr<std::vector<Booster>> TrainLayer(const TrainingSet& set) const {
    std::vector<Booster> boosters;
    std::mt19937 random(options_.seed);
    for (int b = 0; b < options_.boosters; ++b) {
      TrainingSet part;
      for (size_t row = 0; row < set.size(); ++row) {
        const bool seen = (random() % 1024) < options_.row_share * 1024;
        if (!seen && set.size() >= kRowsToDivide) continue;
        part.features.push_back(set.features[row]);
        part.residuals.push_back(set.residuals[row]);
      }
      HONE_ASSIGN_OR_RETURN(Booster booster, TrainBooster(part, options_.seed + b));
      boosters.push_back(std::move(booster));
    }
    return boosters;
  }

  StatusOr<Booster> TrainBooster(const TrainingSet& set, uint32_t seed) const {
    HONE_ASSIGN_OR_RETURN(const Matrix matrix, MakeMatrix(set.features));
    HONE_RETURN_IF_ERROR(Check(
        XGDMatrixSetFloatInfo(matrix.get(), "label", set.residuals.data(), set.residuals.size()),
        "labels"));
    BoosterHandle handle = nullptr;
    const DMatrixHandle matrices[] = {matrix.get()};
    HONE_RETURN_IF_ERROR(Check(XGBoosterCreate(matrices, 1, &handle), "booster"));
    Booster booster(handle);
    // One thread: several spin against each other while kernels are measured on the same machine.
    const std::pair<std::string, std::string> parameters[] = {
        {"objective", "reg:squarederror"},
        {"tree_method", "hist"},
        {"max_bin", "64"},
        {"nthread", "1"},
        {"verbosity", "0"},
        {"base_score", "0"},
        {"min_child_weight", "2"},
        {"colsample_bytree", "0.8"},
        {"max_depth", absl::StrCat(options_.depth)},
        {"eta", absl::StrCat(options_.learning_rate)},
        {"seed", absl::StrCat(seed)},
    };
    for (const auto& [name, value] : parameters) {
      HONE_RETURN_IF_ERROR(
          Check(XGBoosterSetParam(booster.get(), name.c_str(), value.c_str()), name));
    }
    for (int round = 0; round < options_.rounds; ++round) {
      HONE_RETURN_IF_ERROR(
          Check(XGBoosterUpdateOneIter(booster.get(), round, matrix.get()), "training"));
    }
    return booster;
  }

  // Zeros from a layer that is not trained.
  static LayerPrediction PredictLayer(const std::vector<Booster>& boosters, void* matrix,
                                      size_t rows) {
    LayerPrediction layer{std::vector<double>(rows), std::vector<double>(rows)};
    std::vector<double> squares(rows);
    size_t answers = 0;
    for (const Booster& booster : boosters) {
      bst_ulong count = 0;
      const float* values = nullptr;
      const int code = XGBoosterPredict(booster.get(), matrix, /*option_mask=*/0,
                                        /*ntree_limit=*/0, /*training=*/0, &count, &values);
      if (code != 0 || count != rows) continue;
      ++answers;
      for (size_t row = 0; row < rows; ++row) {
        layer.mean[row] += values[row];
        squares[row] += static_cast<double>(values[row]) * values[row];
      }
    }
    if (answers == 0) return layer;
    const double n = static_cast<double>(answers);
    for (size_t row = 0; row < rows; ++row) {
      layer.mean[row] /= n;
      layer.variance[row] = std::max(0.0, squares[row] / n - layer.mean[row] * layer.mean[row]);
    }
    return layer;
  }

  const XgboostOptions options_;
  std::vector<Booster> base_;
  std::vector<Booster> own_;
};

}  // namespace

std::unique_ptr<CostModel> MakeXgboostCostModel(const XgboostOptions& options) {
  return std::make_unique<XgboostCostModel>(options);
}

}  // namespace hone
