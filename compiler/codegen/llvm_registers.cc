#include "compiler/codegen/llvm_registers.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "compiler/codegen/llvm_values.h"

namespace hone {
namespace {

StatusOr<std::pair<int64_t, int>> SpanOf(const std::vector<Expr>& indices,
                                         absl::string_view buffer) {
  if (indices.size() == 1) {
    const Expr& index = indices[0];
    if (index.IsInt()) return std::pair<int64_t, int>(index->int_value, 1);
    if (index.kind() == ExprKind::kRamp && index.arg(0).IsInt() && index.arg(1).IsInt(1)) {
      return std::pair<int64_t, int>(index.arg(0)->int_value, index.type().lanes);
    }
  }
  return absl::InvalidArgumentError(absl::StrCat("register buffer '", buffer,
                                                 "' must be indexed by one constant, or a ramp of "
                                                 "stride 1 from a constant; unroll its loops"));
}

std::pair<int64_t, int> CheckedSpan(const Expr& index, absl::string_view buffer) {
  auto span = SpanOf({index}, buffer);
  HONE_CHECK(span.ok()) << span.status();
  return *span;
}

}  // namespace

StatusOr<RegisterFile> RegisterFile::Make(const Stmt& body) {
  RegisterFile file;
  Visit(body, [&](const Stmt& s) {
    if (s.kind() == StmtKind::kAllocate && s->buffer.scope == Scope::kRegister) {
      file.dtypes_[s->buffer.name] = s->buffer.dtype;
    }
  });
  if (file.dtypes_.empty()) return file;
  std::map<std::string, std::set<Span>> spans;
  Status status;
  auto add = [&](const std::string& buffer, const std::vector<Expr>& indices) {
    if (!file.Has(buffer)) return;
    auto span = SpanOf(indices, buffer);
    if (span.ok()) {
      spans[buffer].insert(*span);
    } else {
      status.Update(span.status());
    }
  };
  Visit(
      body,
      [&](const Stmt& s) {
        if (s.kind() == StmtKind::kStore) add(s->name, s->indices);
      },
      [&](const Expr& whole) {
        Visit(whole, [&](const Expr& e) {
          if (e.kind() == ExprKind::kLoad) add(e->name, Indices(e));
        });
      });
  HONE_RETURN_IF_ERROR(status);
  for (auto& [buffer, set] : spans) file.Divide(buffer, {set.begin(), set.end()});
  return file;
}

// A run of overlapping spans is one unit if all its spans are the same one; otherwise its elements
// are units of their own.
void RegisterFile::Divide(const std::string& buffer, std::vector<Span> spans) {
  const DType dtype = dtypes_[buffer];
  size_t i = 0;
  while (i < spans.size()) {
    const int64_t begin = spans[i].first;
    int64_t end = begin + spans[i].second;
    size_t next = i + 1;
    while (next < spans.size() && spans[next].first < end) {
      end = std::max(end, spans[next].first + spans[next].second);
      ++next;
    }
    const int lanes = next == i + 1 ? spans[i].second : 1;
    for (int64_t element = begin; element < end; element += lanes) {
      unit_of_[{buffer, element}] = static_cast<int>(units_.size());
      units_.push_back({.type = {dtype, lanes}});
    }
    i = next;
  }
}

llvm::Value* RegisterFile::Read(llvm::IRBuilder<>& builder, absl::string_view buffer,
                                const Expr& index) {
  const auto [base, lanes] = CheckedSpan(index, buffer);
  const std::string name(buffer);
  const int unit = unit_of_.at({name, base});
  if (units_[unit].type.lanes == lanes) return Get(builder.getContext(), unit);
  llvm::Value* whole =
      llvm::PoisonValue::get(RegisterType(builder.getContext(), {units_[unit].type.dtype, lanes}));
  for (int lane = 0; lane < lanes; ++lane) {
    llvm::Value* element = Get(builder.getContext(), unit_of_.at({name, base + lane}));
    whole = builder.CreateInsertElement(whole, element, static_cast<uint64_t>(lane));
  }
  return whole;
}

void RegisterFile::Write(llvm::IRBuilder<>& builder, absl::string_view buffer, const Expr& index,
                         llvm::Value* value) {
  const auto [base, lanes] = CheckedSpan(index, buffer);
  const std::string name(buffer);
  const int unit = unit_of_.at({name, base});
  if (units_[unit].type.lanes == lanes) {
    units_[unit].value = value;
    return;
  }
  for (int lane = 0; lane < lanes; ++lane) {
    units_[unit_of_.at({name, base + lane})].value =
        builder.CreateExtractElement(value, static_cast<uint64_t>(lane));
  }
}

std::optional<int> RegisterFile::UnitOf(absl::string_view buffer,
                                        const std::vector<Expr>& indices) const {
  const auto span = SpanOf(indices, buffer);
  if (!span.ok()) return std::nullopt;
  const auto found = unit_of_.find({std::string(buffer), span->first});
  if (found == unit_of_.end() || units_[found->second].type.lanes != span->second) {
    return std::nullopt;
  }
  return found->second;
}

std::vector<int> RegisterFile::StoredIn(const Stmt& body) const {
  std::set<std::string> inner;
  std::set<int> stored;
  if (empty()) return {};
  Visit(body, [&](const Stmt& s) {
    if (s.kind() == StmtKind::kAllocate) inner.insert(s->buffer.name);
    if (s.kind() != StmtKind::kStore || !Has(s->name) || inner.count(s->name) > 0) return;
    const auto [base, lanes] = CheckedSpan(s->indices[0], s->name);
    const int unit = unit_of_.at({s->name, base});
    const int pieces = units_[unit].type.lanes == lanes ? 1 : lanes;
    for (int piece = 0; piece < pieces; ++piece) {
      stored.insert(unit_of_.at({s->name, base + piece}));
    }
  });
  return {stored.begin(), stored.end()};
}

llvm::Value* RegisterFile::Get(llvm::LLVMContext& context, int unit) const {
  const Unit& u = units_[unit];
  return u.value != nullptr ? u.value : llvm::PoisonValue::get(RegisterType(context, u.type));
}

}  // namespace hone
