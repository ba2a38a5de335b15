#include "tuner/cost_model/xgboost_cost_model.h"

#include <xgboost/c_api.h>

#include <cmath>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

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

class XgboostCostModel : public CostModel {
 public:
  explicit XgboostCostModel(const XgboostOptions& options) : options_(options) {}

  Status Train(const TrainingSet& set) override {
    if (set.size() == 0) return absl::OkStatus();
    HONE_ASSIGN_OR_RETURN(Matrix matrix, MakeMatrix(set.features));
    HONE_RETURN_IF_ERROR(Check(
        XGDMatrixSetFloatInfo(matrix.get(), "label", set.residuals.data(), set.residuals.size()),
        "labels"));
    HONE_ASSIGN_OR_RETURN(Booster booster, MakeBooster(matrix.get()));
    for (int round = 0; round < options_.rounds; ++round) {
      HONE_RETURN_IF_ERROR(
          Check(XGBoosterUpdateOneIter(booster.get(), round, matrix.get()), "training"));
    }
    booster_ = std::move(booster);
    return absl::OkStatus();
  }

  std::vector<float> Predict(const std::vector<std::vector<float>>& features) const override {
    std::vector<float> residuals(features.size(), 0);
    if (booster_ == nullptr || features.empty()) return residuals;
    StatusOr<Matrix> matrix = MakeMatrix(features);
    if (!matrix.ok()) return residuals;
    bst_ulong count = 0;
    const float* values = nullptr;
    const int code =
        XGBoosterPredict(booster_.get(), matrix->get(), /*option_mask=*/0, /*ntree_limit=*/0,
                         /*training=*/0, &count, &values);
    if (code != 0 || count != features.size()) return residuals;
    residuals.assign(values, values + count);
    return residuals;
  }

  StatusOr<std::string> Save() const override {
    if (booster_ == nullptr) return std::string();
    bst_ulong size = 0;
    const char* bytes = nullptr;
    HONE_RETURN_IF_ERROR(
        Check(XGBoosterSaveModelToBuffer(booster_.get(), R"({"format": "ubj"})", &size, &bytes),
              "saving"));
    return std::string(bytes, size);
  }

  Status Load(const std::string& bytes) override {
    if (bytes.empty()) {
      booster_.reset();
      return absl::OkStatus();
    }
    HONE_ASSIGN_OR_RETURN(Booster booster, MakeBooster(nullptr));
    HONE_RETURN_IF_ERROR(
        Check(XGBoosterLoadModelFromBuffer(booster.get(), bytes.data(), bytes.size()), "loading"));
    booster_ = std::move(booster);
    return absl::OkStatus();
  }

 private:
  StatusOr<Booster> MakeBooster(void* matrix) const {
    BoosterHandle handle = nullptr;
    const DMatrixHandle matrices[] = {matrix};
    HONE_RETURN_IF_ERROR(
        Check(XGBoosterCreate(matrices, matrix == nullptr ? 0 : 1, &handle), "booster"));
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
        {"subsample", "0.8"},
        {"colsample_bytree", "0.8"},
        {"max_depth", absl::StrCat(options_.depth)},
        {"eta", absl::StrCat(options_.learning_rate)},
        {"seed", absl::StrCat(options_.seed)},
    };
    for (const auto& [name, value] : parameters) {
      HONE_RETURN_IF_ERROR(
          Check(XGBoosterSetParam(booster.get(), name.c_str(), value.c_str()), name));
    }
    return booster;
  }

  const XgboostOptions options_;
  Booster booster_;
};

}  // namespace

std::unique_ptr<CostModel> MakeXgboostCostModel(const XgboostOptions& options) {
  return std::make_unique<XgboostCostModel>(options);
}

}  // namespace hone
