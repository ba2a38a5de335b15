#include "compiler/codegen/index_form.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/ir/expr_text.h"

namespace hone {
namespace {

// Products of sums are multiplied out up to this many terms; a larger one stays a factor.
constexpr size_t kMaxProductTerms = 16;

IndexForm Atom(const Expr& e) {
  IndexForm form;
  form.terms.push_back({e.kind() == ExprKind::kVar ? e->name : ToString(e), {e}, 1});
  return form;
}

// a + scale * b
IndexForm AddScaled(const IndexForm& a, const IndexForm& b, int64_t scale) {
  IndexForm sum;
  sum.constant = a.constant + scale * b.constant;
  size_t i = 0;
  size_t j = 0;
  while (i < a.terms.size() || j < b.terms.size()) {
    if (j == b.terms.size() || (i < a.terms.size() && a.terms[i].key < b.terms[j].key)) {
      sum.terms.push_back(a.terms[i++]);
      continue;
    }
    IndexTerm term = b.terms[j++];
    term.coefficient *= scale;
    if (i < a.terms.size() && a.terms[i].key == term.key) {
      term.coefficient += a.terms[i++].coefficient;
    }
    if (term.coefficient != 0) sum.terms.push_back(std::move(term));
  }
  return sum;
}

IndexTerm Product(const IndexTerm& a, const IndexTerm& b) {
  std::vector<std::pair<std::string, Expr>> factors;
  for (const IndexTerm* term : {&a, &b}) {
    for (const Expr& factor : term->factors) {
      factors.emplace_back(factor.kind() == ExprKind::kVar ? factor->name : ToString(factor),
                           factor);
    }
  }
  std::sort(factors.begin(), factors.end(),
            [](const auto& x, const auto& y) { return x.first < y.first; });
  IndexTerm product;
  product.coefficient = a.coefficient * b.coefficient;
  for (auto& [key, factor] : factors) {
    absl::StrAppend(&product.key, product.key.empty() ? "" : "*", key);
    product.factors.push_back(std::move(factor));
  }
  return product;
}

IndexForm Multiply(const IndexForm& a, const IndexForm& b) {
  IndexForm product = AddScaled(AddScaled({}, a, b.constant), b, a.constant);
  product.constant = a.constant * b.constant;
  for (const IndexTerm& x : a.terms) {
    for (const IndexTerm& y : b.terms) {
      IndexForm one;
      one.terms.push_back(Product(x, y));
      product = AddScaled(product, one, 1);
    }
  }
  return product;
}

}  // namespace

IndexForm MakeIndexForm(const Expr& e) {
  if (e.IsInt()) {
    IndexForm form;
    form.constant = e->int_value;
    return form;
  }
  if (e.kind() == ExprKind::kBinary) {
    switch (e->binary) {
      case BinaryOp::kAdd:
        return AddScaled(MakeIndexForm(e.arg(0)), MakeIndexForm(e.arg(1)), 1);
      case BinaryOp::kSub:
        return AddScaled(MakeIndexForm(e.arg(0)), MakeIndexForm(e.arg(1)), -1);
      case BinaryOp::kMul: {
        const IndexForm a = MakeIndexForm(e.arg(0));
        const IndexForm b = MakeIndexForm(e.arg(1));
        if (a.terms.size() * b.terms.size() <= kMaxProductTerms) return Multiply(a, b);
        break;
      }
      default:
        break;
    }
  }
  return Atom(e);
}

OffsetIndex SplitOffset(const Expr& whole) {
  const bool is_offset =
      whole.kind() == ExprKind::kBinary && whole->binary == BinaryOp::kAdd && whole.arg(1).IsInt();
  return is_offset ? OffsetIndex{whole.arg(0), whole.arg(1)->int_value} : OffsetIndex{whole};
}

}  // namespace hone
