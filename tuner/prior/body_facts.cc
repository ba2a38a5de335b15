#include "tuner/prior/body_facts.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/ir/simplify.h"

namespace hone {
namespace {

double OperationsOf(UnaryOp op) {
  switch (op) {
    case UnaryOp::kNeg:
    case UnaryOp::kAbs:
    case UnaryOp::kFloor:
    case UnaryOp::kCeil:
    case UnaryOp::kRound:
    case UnaryOp::kTrunc:
      return 1;
    case UnaryOp::kSqrt:
      return 6;
    default:
      return 20;  // math functions become polynomials of about so many
  }
}

double OperationsOf(const Expr& e) {
  if (!IsFloat(e.type().dtype)) return 0;
  switch (e.kind()) {
    case ExprKind::kFma:
    case ExprKind::kSelect:
      return 1;
    case ExprKind::kBinary:
      return e->binary == BinaryOp::kPow ? 60 : e->binary == BinaryOp::kDiv ? 5 : 1;
    case ExprKind::kUnary:
      return OperationsOf(e->unary);
    default:
      return 0;
  }
}

// What `e` costs beside what was `counted`, to which it is added: a value that stands in a body
// more than once is computed once.
PointCost BodyCost(const Expr& e, std::vector<Expr>* counted) {
  if (e.kind() == ExprKind::kSelect) {
    bool data = false;
    Visit(e.arg(0), [&](const Expr& c) { data |= c.kind() == ExprKind::kLoad; });
    if (!data) {
      std::vector<Expr> in_other = *counted;
      const PointCost a = BodyCost(e.arg(1), counted);
      const PointCost b = BodyCost(e.arg(2), &in_other);
      if (b.operations > a.operations) *counted = std::move(in_other);
      return {std::max(a.operations, b.operations), std::max(a.loads, b.loads)};
    }
  }
  PointCost cost{OperationsOf(e), e.kind() == ExprKind::kLoad ? 1.0 : 0.0};
  if (cost.operations > 0 || cost.loads > 0) {
    const bool is_known = std::any_of(counted->begin(), counted->end(),
                                      [&](const Expr& other) { return Equal(e, other); });
    if (is_known) return {};
    counted->push_back(e);
  }
  for (const Expr& arg : e.args()) {
    const PointCost inner = BodyCost(arg, counted);
    cost.operations += inner.operations;
    cost.loads += inner.loads;
  }
  return cost;
}

// Points that are computed together at most; more are no straight-line code.
constexpr int64_t kChoicesMax = 32;

// The stage's dims that some choice between arms in its body depends on.
std::vector<Dim> ChoosingDims(const Stage& stage) {
  std::vector<Dim> choosing;
  for (const Dim& dim : stage.dims) {
    bool chooses = false;
    Visit(stage.body, [&](const Expr& e) {
      chooses |= e.kind() == ExprKind::kSelect && UsesVar(e.arg(0), dim.name);
    });
    if (chooses) choosing.push_back(dim);
  }
  return choosing;
}

// The arms that are left where the dims have these values.
Expr Chosen(const Expr& body, const std::map<std::string, Expr>& values) {
  if (body.kind() == ExprKind::kSelect) {
    const Expr condition = Simplify(Substitute(body.arg(0), values), {});
    if (condition.IsInt()) return Chosen(body.arg(condition.IsInt(0) ? 2 : 1), values);
  }
  Expr chosen = body;
  std::vector<Expr> args;
  for (const Expr& arg : body.args()) args.push_back(Chosen(arg, values));
  if (!args.empty()) chosen = WithArgs(body, std::move(args));
  return chosen;
}

std::vector<LoadGroup> GroupLoads(const Stage& stage) {
  std::vector<LoadGroup> groups;
  std::map<std::string, size_t> alike;  // by tensor and indices without their constants
  std::vector<std::vector<std::set<double>>> constants;  // by index
  for (Access& access : AccessesOf(stage.body)) {
    std::string key = access.tensor;
    std::vector<double> offsets;
    for (const Expr& index : access.indices) {
      const LinearForm form = Linearize(index, {});
      offsets.push_back(static_cast<double>(form.constant));
      for (const LinearForm::Term& term : form.terms) {
        absl::StrAppend(&key, "+", term.coefficient, "*", term.key);
      }
      key += ',';
    }
    const auto [at, is_new] = alike.emplace(key, groups.size());
    if (is_new) {
      constants.emplace_back();
      for (double offset : offsets) constants.back().push_back({offset});
      groups.emplace_back(std::move(access), stage);
      continue;
    }
    LoadGroup& group = groups[at->second];
    group.loads += 1;
    group.access.padded |= access.padded;
    for (size_t i = 0; i < offsets.size(); ++i) {
      std::set<double>& places = constants[at->second][i];
      places.insert(offsets[i]);
      group.spread[i] = *places.rbegin() - *places.begin();
      group.places[i] = static_cast<double>(places.size());
    }
  }
  return groups;
}

Access ResultOf(const Stage& stage) {
  Access result{stage.name, stage.dtype, {}, false};
  for (const Dim& dim : stage.dims) result.indices.push_back(Var(dim.name));
  return result;
}

bool HaveSameNames(const std::vector<Dim>& a, const std::vector<Dim>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Dim& x, const Dim& y) { return x.name == y.name; });
}

}  // namespace

LoadGroup::LoadGroup(Access one, const Stage& stage)
    : access(std::move(one)), spread(access.indices.size(), 0), places(access.indices.size(), 1) {
  for (const Expr& index : access.indices) spans.emplace_back(index, stage);
  for (const std::vector<Dim>* dims : {&stage.dims, &stage.reduce}) {
    for (const Dim& dim : *dims) uses.push_back(access.Uses(dim.name));
  }
}

void LoadGroup::Fix(size_t d, const Stage& stage) {
  Access fixed = access;
  fixed.indices[d] = Int(0);
  fixed.padded = false;
  LoadGroup group(std::move(fixed), stage);
  group.loads = loads;
  group.spread = spread;
  group.spread[d] = 0;
  group.places = places;
  *this = std::move(group);
}

BodyFacts::BodyFacts(const Stage& of) : stage(of), loads(GroupLoads(of)), result(ResultOf(of), of) {
  std::vector<Expr> counted;
  cost = BodyCost(of.body, &counted);
  FindChoices();
}

void BodyFacts::FindChoices() {
  std::vector<std::map<std::string, Expr>> points = {{}};
  for (const Dim& dim : ChoosingDims(stage)) {
    const int64_t extent = dim.extent.IsInt() ? dim.extent->int_value : 0;
    if (extent * static_cast<int64_t>(points.size()) > kChoicesMax) return choosing.clear();
    std::vector<std::map<std::string, Expr>> more;
    for (const std::map<std::string, Expr>& point : points) {
      for (int64_t value = 0; value < extent; ++value) {
        more.push_back(point);
        more.back()[dim.name] = Int(value);
      }
    }
    points = std::move(more);
    choosing.push_back(dim.name);
  }
  if (choosing.empty()) return;
  choices = static_cast<double>(points.size());
  std::vector<Expr> counted;
  for (const std::map<std::string, Expr>& point : points) {
    const PointCost one = BodyCost(Chosen(stage.body, point), &counted);
    together.operations += one.operations;
    together.loads += one.loads;
  }
}

bool BodyFacts::AreOf(const Stage& other) const {
  return stage.name == other.name && stage.body.get() == other.body.get() &&
         HaveSameNames(stage.dims, other.dims) && HaveSameNames(stage.reduce, other.reduce);
}

}  // namespace hone
