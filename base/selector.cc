#include "base/selector.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace hone {
namespace {

Status BadClause(absl::string_view clause, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("selector: '", clause, "' ", why,
                   "; a selector reads like: arch=aarch64,sve,board=rpi4|rpi5,cores>=4,!shared"));
}

// "80", "8.6", "8G".
std::optional<double> ReadNumber(absl::string_view text) {
  double factor = 1;
  for (const absl::string_view unit : {"K", "M", "G", "T"}) {
    factor *= 1024;
    double number = 0;
    absl::string_view digits = text;
    if (absl::ConsumeSuffix(&digits, unit) && absl::SimpleAtod(digits, &number)) {
      return number * factor;
    }
  }
  double number = 0;
  if (!absl::SimpleAtod(text, &number)) return std::nullopt;
  return number;
}

}  // namespace

bool Selector::IsWord(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.' || c == '/' || c == ':';
  });
}

StatusOr<Selector> Selector::Parse(absl::string_view text) {
  Selector selector;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const absl::string_view trimmed = absl::StripAsciiWhitespace(part);
    if (trimmed.empty()) {
      if (absl::StripAsciiWhitespace(text).empty()) return selector;
      return BadClause(text, "has an empty clause");
    }
    HONE_ASSIGN_OR_RETURN(Clause clause, ParseClause(trimmed));
    selector.clauses_.push_back(std::move(clause));
  }
  auto& clauses = selector.clauses_;
  std::sort(clauses.begin(), clauses.end(),
            [](const Clause& a, const Clause& b) { return a.text < b.text; });
  clauses.erase(std::unique(clauses.begin(), clauses.end(),
                            [](const Clause& a, const Clause& b) { return a.text == b.text; }),
                clauses.end());
  selector.text_ = absl::StrJoin(
      clauses, ",", [](std::string* out, const Clause& clause) { out->append(clause.text); });
  return selector;
}

StatusOr<Selector::Clause> Selector::ParseClause(absl::string_view text) {
  // The longer marks first: ">=" is not ">" and a value "=80".
  static constexpr std::pair<absl::string_view, Relation> kRelations[] = {
      {"!=", Relation::kIsNot}, {">=", Relation::kAtLeast}, {"<=", Relation::kAtMost},
      {"=", Relation::kIs},     {">", Relation::kAbove},    {"<", Relation::kBelow}};
  Clause clause;
  const size_t at = text.find_first_of("=<>", 1);
  if (at == absl::string_view::npos) {
    absl::string_view word = text;
    clause.relation = absl::ConsumePrefix(&word, "!") ? Relation::kHasNot : Relation::kHas;
    if (!IsWord(word)) return BadClause(text, "is not a word, nor KEY=VALUE");
    clause.key = std::string(word);
    clause.text = std::string(text);
    return clause;
  }
  const size_t begin = text[at] == '=' && text[at - 1] == '!' ? at - 1 : at;
  absl::string_view value = text.substr(begin);
  absl::string_view mark;
  for (const auto& [name, relation] : kRelations) {
    if (!absl::ConsumePrefix(&value, name)) continue;
    mark = name;
    clause.relation = relation;
    break;
  }
  const absl::string_view key = absl::StripTrailingAsciiWhitespace(text.substr(0, begin));
  value = absl::StripLeadingAsciiWhitespace(value);
  if (!IsWord(key)) return BadClause(text, "begins with no key");
  clause.key = std::string(key);
  clause.values = absl::StrSplit(value, '|');
  std::sort(clause.values.begin(), clause.values.end());
  for (const std::string& one : clause.values) {
    if (!IsWord(one)) return BadClause(text, "has no value that can be read");
  }
  if (clause.relation != Relation::kIs && clause.relation != Relation::kIsNot) {
    const std::optional<double> number = ReadNumber(value);
    if (!number) return BadClause(text, "compares with what is not a number");
    clause.number = *number;
  }
  clause.text = absl::StrCat(key, mark, absl::StrJoin(clause.values, "|"));
  return clause;
}

bool Selector::Holds(const Clause& clause, const DeviceFacts& facts) {
  if (clause.relation == Relation::kHas) return facts.words.contains(clause.key);
  if (clause.relation == Relation::kHasNot) return !facts.words.contains(clause.key);
  const auto fact = facts.values.find(clause.key);
  if (fact == facts.values.end()) return clause.relation == Relation::kIsNot;
  const std::optional<double> number = ReadNumber(fact->second);
  const bool is_one =
      std::any_of(clause.values.begin(), clause.values.end(), [&](const std::string& value) {
        return value == fact->second || (number && ReadNumber(value) == number);
      });
  if (clause.relation == Relation::kIs) return is_one;
  if (clause.relation == Relation::kIsNot) return !is_one;
  if (!number) return false;
  switch (clause.relation) {
    case Relation::kAtLeast:
      return *number >= clause.number;
    case Relation::kAtMost:
      return *number <= clause.number;
    case Relation::kAbove:
      return *number > clause.number;
    default:
      return *number < clause.number;
  }
}

std::vector<std::string> Selector::Unmet(const DeviceFacts& facts) const {
  std::vector<std::string> unmet;
  for (const Clause& clause : clauses_) {
    if (!Holds(clause, facts)) unmet.push_back(clause.text);
  }
  return unmet;
}

}  // namespace hone
