#include "tuner/space/sketch.h"

#include <cctype>
#include <optional>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/check.h"
#include "base/text_reader.h"
#include "compiler/ir/expr_text.h"
#include "compiler/ir/floor_divide.h"

namespace hone {
namespace {

constexpr int64_t kMaxHoles = 64;
constexpr int64_t kMaxValues = 256;

bool IsNamePart(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Few enough to be searched one after the other.
using HoleValues = absl::InlinedVector<std::pair<const std::string*, int64_t>, 16>;

// The value of an integer expression; comparisons give 0 or 1. Nothing when it uses an operator
// that requirements do not have. Asked of every point of a space, so it makes no expressions, as
// substitution and simplification would.
std::optional<int64_t> EvaluateInteger(const Expr& e, const HoleValues& values) {
  if (e.IsInt()) return e->int_value;
  if (e.kind() == ExprKind::kVar) {
    for (const auto& [name, value] : values) {
      if (*name == e->name) return value;
    }
    return std::nullopt;
  }
  if (e.kind() != ExprKind::kBinary) return std::nullopt;
  const std::optional<int64_t> left = EvaluateInteger(e.arg(0), values);
  const std::optional<int64_t> right = EvaluateInteger(e.arg(1), values);
  if (!left || !right) return std::nullopt;
  const int64_t a = *left;
  const int64_t b = *right;
  switch (e->binary) {
    case BinaryOp::kAdd:
      return a + b;
    case BinaryOp::kSub:
      return a - b;
    case BinaryOp::kMul:
      return a * b;
    case BinaryOp::kFloorDiv:
      if (b <= 0) return std::nullopt;
      return FloorDivide(a, b);
    case BinaryOp::kFloorMod:
      if (b <= 0) return std::nullopt;
      return a - b * FloorDivide(a, b);
    case BinaryOp::kMin:
      return std::min(a, b);
    case BinaryOp::kMax:
      return std::max(a, b);
    case BinaryOp::kLess:
      return a < b;
    case BinaryOp::kLessEqual:
      return a <= b;
    case BinaryOp::kEqual:
      return a == b;
    case BinaryOp::kNotEqual:
      return a != b;
    case BinaryOp::kAnd:
      return a && b;
    case BinaryOp::kOr:
      return a || b;
    default:
      return std::nullopt;
  }
}

StatusOr<Hole> ParseHole(TextReader& reader) {
  Hole hole;
  HONE_ASSIGN_OR_RETURN(hole.name, reader.Word("a hole's name"));
  for (char c : hole.name) {
    if (!IsNamePart(c)) return reader.Error("a hole's name has letters, digits and _ only");
  }
  if (!reader.TryWord("in")) return reader.Error("expected 'in' and the hole's values");
  hole.is_text = reader.PeekChar() == '"';
  do {
    if (hole.is_text) {
      HONE_ASSIGN_OR_RETURN(std::string value, reader.Quoted());
      hole.values.push_back(std::move(value));
    } else {
      HONE_ASSIGN_OR_RETURN(int64_t value, reader.Integer());
      hole.values.push_back(absl::StrCat(value));
      hole.numbers.push_back(value);
    }
  } while (reader.TryMark(","));
  if (static_cast<int64_t>(hole.values.size()) > kMaxValues) {
    return reader.Error(absl::StrCat("a hole has at most ", kMaxValues, " values"));
  }
  return hole;
}

}  // namespace

StatusOr<Sketch> Sketch::Parse(absl::string_view text, absl::string_view what) {
  Sketch sketch;
  sketch.what_ = std::string(what);
  TextReader reader(text, what);
  reader.AtEnd();
  if (!reader.TryWord("sketch") || !reader.TryMark("/1")) {
    return reader.Error("expected 'sketch/1'; is this from a newer hone?");
  }
  sketch.name_ = reader.RestOfLine();
  HONE_RETURN_IF_ERROR(reader.EndLine());
  ExprScope scope;
  scope.buffer = [](absl::string_view) -> StatusOr<DType> {
    return absl::InvalidArgumentError("a requirement reads holes only");
  };
  scope.variable = [&](absl::string_view name) -> StatusOr<Type> {
    for (const Hole& hole : sketch.holes_) {
      if (hole.name == name && !hole.is_text) return Type{};
    }
    return absl::InvalidArgumentError(
        absl::StrCat("there is no integer hole '", name, "' above this line"));
  };
  while (!reader.AtEnd() && reader.PeekWord() != "schedule") {
    if (reader.TryWord("hole")) {
      HONE_ASSIGN_OR_RETURN(Hole hole, ParseHole(reader));
      for (const Hole& other : sketch.holes_) {
        if (other.name == hole.name) {
          return reader.Error(absl::StrCat("two holes are called '", hole.name, "'"));
        }
      }
      sketch.holes_.push_back(std::move(hole));
    } else if (reader.TryWord("require")) {
      HONE_ASSIGN_OR_RETURN(Expr requirement, ParseExpr(reader, scope));
      HoleValues ones;
      for (const Hole& hole : sketch.holes_) ones.emplace_back(&hole.name, 1);
      if (!EvaluateInteger(requirement, ones)) {
        return reader.Error(
            "a requirement compares integers made with + - * floordiv floormod "
            "min max, joined by and(a,b), or(a,b)");
      }
      sketch.requirements_.push_back(std::move(requirement));
    } else {
      return reader.Error("expected 'hole', 'require' or 'schedule/1'");
    }
    HONE_RETURN_IF_ERROR(reader.EndLine());
  }
  if (reader.AtEnd()) return reader.Error("expected 'schedule/1' after the holes");
  if (static_cast<int64_t>(sketch.holes_.size()) > kMaxHoles) {
    return reader.Error(absl::StrCat("a sketch has at most ", kMaxHoles, " holes"));
  }

  TextReader heading = reader;
  if (!heading.TryWord("schedule") || !heading.TryMark("/1")) {
    return reader.Error("expected 'schedule/1'; is this from a newer hone?");
  }

  // Everything from the line of "schedule" on, cut at the holes. It is the first that begins with
  // the word; what follows was read above.
  size_t begin = 0;
  for (size_t start = 0; start < text.size();) {
    size_t first = text.find_first_not_of(" \t", start);
    if (first != absl::string_view::npos && absl::StartsWith(text.substr(first), "schedule")) {
      begin = start;
      break;
    }
    start = text.find('\n', start);
    if (start == absl::string_view::npos) break;
    ++start;
    ++sketch.schedule_line_;
  }
  std::vector<bool> used(sketch.holes_.size());
  sketch.literals_.emplace_back();
  int64_t line = sketch.schedule_line_ + 1;
  int64_t column = 1;
  bool comment = false;
  for (size_t i = begin; i < text.size(); ++i, ++column) {
    const char c = text[i];
    if (c == '#') comment = true;
    if (c == '\n') {
      comment = false;
      ++line;
      column = 0;
    }
    if (c != '?' || comment) {
      sketch.literals_.back().push_back(c);
      continue;
    }
    size_t end = i + 1;
    while (end < text.size() && IsNamePart(text[end])) ++end;
    const absl::string_view name = text.substr(i + 1, end - i - 1);
    size_t h = 0;
    while (h < sketch.holes_.size() && sketch.holes_[h].name != name) ++h;
    if (h == sketch.holes_.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, ":", line, ":", column, ": there is no hole '", name,
                       "'; add a line 'hole ", name, " in ...' above 'schedule/1'"));
    }
    used[h] = true;
    sketch.places_.push_back(static_cast<int>(h));
    sketch.literals_.emplace_back();
    column += static_cast<int64_t>(end - i) - 1;
    i = end - 1;
  }
  for (size_t h = 0; h < used.size(); ++h) {
    if (!used[h]) {
      return absl::InvalidArgumentError(absl::StrCat(
          what, ": hole '", sketch.holes_[h].name, "' stands nowhere in the schedule; write ?",
          sketch.holes_[h].name, " where its value belongs, or remove it"));
    }
  }
  return sketch;
}

std::string Sketch::ToString() const {
  std::string out = absl::StrCat("sketch/1", name_.empty() ? "" : " ", name_, "\n");
  for (const Hole& hole : holes_) {
    absl::StrAppend(&out, "hole ", hole.name, " in ");
    for (size_t i = 0; i < hole.values.size(); ++i) {
      const char* quote = hole.is_text ? "\"" : "";
      absl::StrAppend(&out, i ? ", " : "", quote, hole.values[i], quote);
    }
    out.push_back('\n');
  }
  for (const Expr& requirement : requirements_) {
    absl::StrAppend(&out, "require ", hone::ToString(requirement), "\n");
  }
  for (size_t i = 0; i < places_.size(); ++i) {
    absl::StrAppend(&out, literals_[i], "?", holes_[places_[i]].name);
  }
  absl::StrAppend(&out, literals_.back());
  return out;
}

int64_t Sketch::Size() const {
  int64_t size = 1;
  for (const Hole& hole : holes_) {
    const int64_t values = static_cast<int64_t>(hole.values.size());
    if (size > INT64_MAX / values) return INT64_MAX;
    size *= values;
  }
  return size;
}

Sketch Sketch::WithFirstLines(absl::string_view lines) const {
  Sketch sketch = *this;
  std::string& heading = sketch.literals_.front();
  heading.insert(heading.find('\n', heading.find("schedule/")) + 1, std::string(lines));
  return sketch;
}

bool Sketch::Satisfies(const Assignment& assignment) const {
  HoleValues values;
  for (size_t h = 0; h < holes_.size(); ++h) {
    if (!holes_[h].is_text) values.emplace_back(&holes_[h].name, holes_[h].numbers[assignment[h]]);
  }
  for (const Expr& requirement : requirements_) {
    if (EvaluateInteger(requirement, values).value_or(0) == 0) return false;
  }
  return true;
}

std::string Sketch::Fill(const Assignment& assignment) const {
  HONE_CHECK(assignment.size() == holes_.size()) << "one value a hole";
  std::string out;
  for (size_t i = 0; i < places_.size(); ++i) {
    const int h = places_[i];
    HONE_CHECK(assignment[h] >= 0 && assignment[h] < static_cast<int>(holes_[h].values.size()));
    absl::StrAppend(&out, literals_[i], holes_[h].values[assignment[h]]);
  }
  absl::StrAppend(&out, literals_.back());
  return out;
}

StatusOr<Schedule> Sketch::Instantiate(const Assignment& assignment) const {
  // Empty lines in front keep the line numbers of errors those of the sketch's text.
  return Schedule::Parse(absl::StrCat(std::string(schedule_line_, '\n'), Fill(assignment)), what_);
}

std::string Sketch::Describe(const Assignment& assignment) const {
  return absl::StrJoin(holes_, " ", [&](std::string* out, const Hole& hole) {
    absl::StrAppend(out, hole.name, "=", hole.values[assignment[&hole - holes_.data()]]);
  });
}

}  // namespace hone
