#include "compiler/lower/lower_padding.h"

#include "compiler/lower/loop_ranges.h"

namespace hone {
namespace {

class PaddingLowerer {
 public:
  PaddingLowerer(const std::map<std::string, std::vector<Expr>>& shapes, const Ranges& ranges)
      : shapes_(shapes), ranges_(ranges) {}

  Expr Lower(const Expr& e, bool in_select) {
    if (e.kind() == ExprKind::kSelect) {
      return Select(Lower(e.arg(0), false), Lower(e.arg(1), true), Lower(e.arg(2), true));
    }
    std::vector<Expr> args;
    for (const Expr& arg : e.args()) args.push_back(Lower(arg, in_select));
    Expr lowered = WithArgs(e, std::move(args));
    if (lowered.kind() != ExprKind::kLoad || (!in_select && !lowered->has_otherwise))
      return lowered;
    return Guard(lowered);
  }

 private:
  Expr Guard(const Expr& load) {
    const std::vector<Expr>& shape = shapes_.at(load->name);
    std::vector<Expr> indices = Indices(load);
    Expr inside = Int(1, {DType::kBool, 1});
    for (size_t d = 0; d < indices.size(); ++d) {
      const Expr index = indices[d];
      const Expr not_below = Simplify(LessEqual(Int(0), index), ranges_);
      const Expr not_above = Simplify(Less(index, shape[d]), ranges_);
      inside = And(And(inside, not_below), not_above);
      if (!not_above.IsInt(1)) indices[d] = Min(indices[d], shape[d] - 1);
      if (!not_below.IsInt(1)) indices[d] = Max(indices[d], Int(0));
      indices[d] = Simplify(indices[d], ranges_);
    }
    Expr safe = Load(load->name, load.type().dtype, std::move(indices));
    return load->has_otherwise ? Select(inside, safe, Otherwise(load)) : safe;
  }

  const std::map<std::string, std::vector<Expr>>& shapes_;
  const Ranges& ranges_;
};

}  // namespace

Stmt LowerPadding(const Stmt& s, const std::map<std::string, std::vector<Expr>>& shapes,
                  Ranges& ranges) {
  return RewriteInRanges(s, ranges, [&](const Expr& e, const Ranges& known) {
    return PaddingLowerer(shapes, known).Lower(e, /*in_select=*/false);
  });
}

}  // namespace hone
