#include "compiler/graph/plan_for_ranges.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

// Each plan is written down as facts, one a tensor or call: a text of all that must be the same,
// and the extents, in an order that depends on the text alone. Facts of different plans are then
// compared one by one, and extent by extent.

namespace hone {
namespace {

struct Fact {
  std::string where;  // for errors
  std::string text;
  std::vector<int64_t> sizes;
};

// All extents of a workload, buffers first.
std::vector<Expr*> ExtentsOf(Workload& workload) {
  std::vector<Expr*> extents;
  for (Buffer& buffer : workload.buffers) {
    for (Expr& extent : buffer.shape) extents.push_back(&extent);
  }
  for (Stage& stage : workload.stages) {
    for (Dim& dim : stage.dims) extents.push_back(&dim.extent);
    for (Dim& dim : stage.reduce) extents.push_back(&dim.extent);
  }
  return extents;
}

Fact FactOf(const PlanTensor& tensor) {
  return {.where = absl::StrCat("'", tensor.name, "'"),
          .text = absl::StrCat(tensor.name, " ", DTypeName(tensor.dtype), " ",
                               tensor.layout.ToString(), " ", static_cast<int>(tensor.kind), " ",
                               tensor.part_of, " ", tensor.part_offset_bytes),
          .sizes = tensor.shape};
}

Fact FactOf(const ModelPlan& plan, const PlanCall& call) {
  const PlanKernel& kernel = plan.kernels[call.kernel];
  Workload shape = kernel.workload;
  Fact fact{.where = absl::StrCat("node ", call.node)};
  for (Expr* extent : ExtentsOf(shape)) {
    fact.sizes.push_back((*extent)->int_value);
    *extent = Int(1);
  }
  fact.text = absl::StrCat(absl::StrJoin(call.tensors, ","), " ", call.node, "\n");
  for (const Layout& layout : kernel.layouts) absl::StrAppend(&fact.text, layout.ToString(), "\n");
  absl::StrAppend(&fact.text, shape.ToString());
  return fact;
}

std::vector<Fact> FactsOf(const ModelPlan& plan) {
  std::vector<Fact> facts;
  for (const PlanTensor& tensor : plan.tensors) facts.push_back(FactOf(tensor));
  for (const PlanCall& call : plan.calls) facts.push_back(FactOf(plan, call));
  return facts;
}

std::string ValuesText(const std::vector<Param>& params, const std::vector<int64_t>& values) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < params.size(); ++i) {
    texts.push_back(absl::StrCat(params[i].name, "=", values[i]));
  }
  return absl::StrJoin(texts, ", ");
}

class Generalizer {
 public:
  Generalizer(const std::vector<Param>& params, const PlanAt& plan_at)
      : params_(params), plan_at_(plan_at) {
    for (const Param& param : params) tops_.push_back(param.max);
  }

  StatusOr<ModelPlan> Run() {
    HONE_ASSIGN_OR_RETURN(plan_, Plan(tops_));
    facts_ = FactsOf(plan_);
    for (const Fact& fact : facts_) {
      std::vector<RunTimeSize> sizes;
      for (int64_t size : fact.sizes) sizes.push_back({.top = size});
      sizes_.push_back(std::move(sizes));
    }
    for (size_t i = 0; i < params_.size(); ++i) HONE_RETURN_IF_ERROR(Learn(static_cast<int>(i)));
    HONE_RETURN_IF_ERROR(Verify());
    HONE_RETURN_IF_ERROR(VerifyLowEnds());
    return Generalized();
  }

 private:
  StatusOr<ModelPlan> Plan(const std::vector<int64_t>& values) const {
    auto plan = plan_at_(values);
    if (plan.ok()) return plan;
    return absl::Status(plan.status().code(), absl::StrCat("at ", ValuesText(params_, values), ": ",
                                                           plan.status().message()));
  }

  Status Uneven(const std::string& where) const {
    return absl::UnimplementedError(absl::StrCat(
        where, " does not grow evenly with one open dimension (", ValuesText(params_, tops_),
        "); give single sizes: --shape ", params_[0].name, "=", params_[0].max));
  }

  // The facts of the plan at `values`, after checking that they say what those of plan_ say.
  StatusOr<std::vector<Fact>> FactsAt(const std::vector<int64_t>& values) const {
    HONE_ASSIGN_OR_RETURN(const ModelPlan plan, Plan(values));
    std::vector<Fact> facts = FactsOf(plan);
    for (size_t f = 0; f < std::min(facts.size(), facts_.size()); ++f) {
      if (facts[f].text != facts_[f].text || facts[f].sizes.size() != facts_[f].sizes.size()) {
        return Differently(facts_[f].where, values);
      }
    }
    if (facts.size() != facts_.size() || plan.inputs != plan_.inputs ||
        plan.outputs != plan_.outputs) {
      return Differently("the model", values);
    }
    for (size_t t = 0; t < plan.tensors.size(); ++t) {
      const auto& data = plan.tensors[t].data;
      if (data != nullptr && *data != *plan_.tensors[t].data) {
        return Differently(facts_[t].where, values);
      }
    }
    return facts;
  }

  Status Differently(const std::string& where, const std::vector<int64_t>& values) const {
    return absl::UnimplementedError(
        absl::StrCat(where, " is computed differently for ", ValuesText(params_, values),
                     " and for ", ValuesText(params_, tops_), "; give single sizes: --shape ",
                     params_[0].name, "=", params_[0].max));
  }

  // The least size of the range whose plan looks like that of larger ones.
  static int64_t Low(const Param& param) { return std::max<int64_t>(2, param.min); }

  // How every size depends on parameter i, from the plans at its top and beside it.
  Status Learn(int i) {
    const int64_t step = tops_[i] > Low(params_[i]) ? -1 : 1;
    std::vector<int64_t> values = tops_;
    values[i] += step;
    HONE_ASSIGN_OR_RETURN(const std::vector<Fact> facts, FactsAt(values));
    for (size_t f = 0; f < facts.size(); ++f) {
      for (size_t s = 0; s < facts[f].sizes.size(); ++s) {
        RunTimeSize& size = sizes_[f][s];
        const int64_t scale = (facts[f].sizes[s] - size.top) * step;
        if (scale == 0) continue;
        if (scale < 0 || size.param >= 0) return Uneven(facts[f].where);
        size.scale = scale;
        size.param = i;
      }
    }
    return absl::OkStatus();
  }

  // Whether other plans have the sizes that they should have.
  Status Verify() const {
    std::vector<int64_t> lows, middles;
    for (const Param& param : params_) {
      const int64_t low = Low(param);
      lows.push_back(param.max - low >= 2 ? low : param.max + 2);
      middles.push_back(low + (param.max - low) / 2);
    }
    for (const std::vector<int64_t>& values : {lows, middles}) {
      HONE_ASSIGN_OR_RETURN(const std::vector<Fact> facts, FactsAt(values));
      for (size_t f = 0; f < facts.size(); ++f) {
        for (size_t s = 0; s < facts[f].sizes.size(); ++s) {
          if (facts[f].sizes[s] != At(sizes_[f][s], values)) return Uneven(facts[f].where);
        }
      }
    }
    return absl::OkStatus();
  }

  // At extent 1 a dimension may broadcast, or be squeezed: then the model means something else
  // there, which shows in its outputs.
  Status VerifyLowEnds() const {
    std::vector<int64_t> values;
    bool generic = true;
    for (const Param& param : params_) {
      values.push_back(std::max<int64_t>(1, param.min));
      generic &= values.back() >= 2;
    }
    if (generic) return absl::OkStatus();
    HONE_ASSIGN_OR_RETURN(const ModelPlan plan, Plan(values));
    for (const auto& [there, here] :
         {std::pair(&plan.inputs, &plan_.inputs), std::pair(&plan.outputs, &plan_.outputs)}) {
      if (there->size() != here->size()) return Differently("the model", values);
      for (size_t i = 0; i < here->size(); ++i) {
        const std::vector<RunTimeSize>& sizes = sizes_[(*here)[i]];  // facts begin with tensors
        const std::vector<int64_t>& shape = plan.tensors[(*there)[i]].shape;
        bool same = sizes.size() == shape.size();
        for (size_t d = 0; same && d < shape.size(); ++d) same = shape[d] == At(sizes[d], values);
        if (!same) return Differently(facts_[(*here)[i]].where, values);
      }
    }
    return absl::OkStatus();
  }

  int64_t At(const RunTimeSize& size, const std::vector<int64_t>& values) const {
    return size.param < 0 ? size.top
                          : size.top + size.scale * (values[size.param] - tops_[size.param]);
  }

  // `plan_` with what was learned written into it.
  ModelPlan Generalized() const {
    ModelPlan plan = plan_;
    plan.params = params_;
    plan.kernels.clear();
    for (size_t t = 0; t < plan.tensors.size(); ++t) plan.tensors[t].run_time_shape = sizes_[t];
    std::map<std::string, int> known;
    std::set<std::string> names;
    for (size_t c = 0; c < plan.calls.size(); ++c) {
      PlanCall& call = plan.calls[c];
      PlanKernel kernel = plan_.kernels[call.kernel];
      call.params = OpenKernel(sizes_[plan.tensors.size() + c], &kernel.workload);
      const auto [found, is_new] =
          known.try_emplace(kernel.Key(), static_cast<int>(plan.kernels.size()));
      call.kernel = found->second;
      if (!is_new) continue;
      const std::string name = kernel.name;
      for (int n = 2; !names.insert(kernel.name).second; ++n) {
        kernel.name = absl::StrCat(name, "_open", n);
      }
      plan.kernels.push_back(std::move(kernel));
    }
    return plan;
  }

  // Gives the workload a parameter for each run-time size among its extents, named after the first
  // dimension that has it. Returns what each parameter is.
  std::vector<RunTimeSize> OpenKernel(const std::vector<RunTimeSize>& sizes,
                                      Workload* workload) const {
    std::vector<std::string> dim_names;
    for (const Buffer& buffer : workload->buffers) {
      dim_names.insert(dim_names.end(), buffer.shape.size(), "");
    }
    for (const Stage& stage : workload->stages) {
      for (const std::vector<Dim>* dims : {&stage.dims, &stage.reduce}) {
        for (const Dim& dim : *dims) dim_names.push_back(absl::AsciiStrToUpper(dim.name));
      }
    }
    std::vector<RunTimeSize> opened;
    std::map<std::tuple<int64_t, int64_t, int>, std::string> names;
    std::set<std::string> taken;
    const auto open = [&](const RunTimeSize& size, std::string name) {
      const std::tuple key(size.top, size.scale, size.param);
      if (size.param < 0 || names.contains(key)) return;
      const std::string wanted = name;
      for (int n = 2; !taken.insert(name).second; ++n) name = absl::StrCat(wanted, n);
      names[key] = name;
      opened.push_back(size);
      const Param& param = params_[size.param];
      workload->params.push_back({name, size.top - size.scale * (param.max - param.min), size.top});
    };
    for (size_t s = 0; s < sizes.size(); ++s) {
      if (!dim_names[s].empty()) open(sizes[s], dim_names[s]);
    }
    for (const RunTimeSize& size : sizes) open(size, "P");  // of a buffer's dimension alone
    const std::vector<Expr*> extents = ExtentsOf(*workload);
    for (size_t s = 0; s < sizes.size(); ++s) {
      if (sizes[s].param < 0) continue;
      *extents[s] = Var(names.at(std::tuple(sizes[s].top, sizes[s].scale, sizes[s].param)));
    }
    return opened;
  }

  const std::vector<Param>& params_;
  const PlanAt& plan_at_;
  std::vector<int64_t> tops_;
  ModelPlan plan_;                               // at the tops
  std::vector<Fact> facts_;                      // of plan_: its tensors, then its calls
  std::vector<std::vector<RunTimeSize>> sizes_;  // of each fact
};

}  // namespace

StatusOr<ModelPlan> PlanForRanges(const std::vector<Param>& params, const PlanAt& plan_at) {
  for (const Param& param : params) {
    if (param.min < 0 || param.max < 2 || param.max <= param.min) {
      return absl::InvalidArgumentError(
          absl::StrCat("the range ", param.name, "=", param.min, "..", param.max,
                       " is none: it begins at 0 or above and ends, higher, at 2 or above"));
    }
  }
  return Generalizer(params, plan_at).Run();
}

PlanKernel AtTop(const PlanKernel& kernel) {
  PlanKernel top = kernel;
  std::map<std::string, Expr> values;
  for (const Param& param : kernel.workload.params) values[param.name] = Int(param.max);
  top.workload.params.clear();
  for (Expr* extent : ExtentsOf(top.workload)) *extent = Substitute(*extent, values);
  for (Stage& stage : top.workload.stages) stage.body = Substitute(stage.body, values);
  return top;
}

}  // namespace hone
