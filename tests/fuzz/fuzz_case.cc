#include "tests/fuzz/fuzz_case.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace hone {
namespace {

constexpr char kVersion[] = "case/1";

Status Bad(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("fuzz case: ", what));
}

Status ReadHead(absl::string_view line, FuzzCase& fuzz_case) {
  for (const absl::string_view word : absl::StrSplit(line, ' ', absl::SkipEmpty())) {
    if (word == kVersion) continue;
    const std::pair<std::string, std::string> pair = absl::StrSplit(word, absl::MaxSplits('=', 1));
    const auto& [key, value] = pair;
    if (key == "inputs") {
      fuzz_case.inputs = value == "special" ? InputKind::kSpecial : InputKind::kNormal;
    } else if (key == "run") {
      fuzz_case.run_by = value == "interpreter" ? RunBy::kInterpreter : RunBy::kMachine;
    } else if (key == "seed") {
      if (!absl::SimpleAtoi(value, &fuzz_case.seed)) return Bad("seed is a number");
    } else if (!absl::SimpleAtoi(value, &fuzz_case.params[key])) {
      return Bad(absl::StrCat("'", std::string(word), "' is no parameter and its value"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string FuzzCase::ToString() const {
  std::string text = absl::StrCat(kVersion, " seed=", seed,
                                  " inputs=", inputs == InputKind::kNormal ? "normal" : "special",
                                  " run=", run_by == RunBy::kMachine ? "machine" : "interpreter");
  for (const auto& [name, value] : params) absl::StrAppend(&text, " ", name, "=", value);
  absl::StrAppend(&text, "\n", target.ToString(), "\n", workload.ToString(), schedule.ToString());
  return text;
}

StatusOr<FuzzCase> FuzzCase::Parse(absl::string_view text) {
  FuzzCase fuzz_case;
  std::string workload, schedule;
  std::string* part = nullptr;
  bool has_head = false;
  bool has_target = false;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    if (absl::StartsWith(line, "#")) continue;
    if (absl::StartsWith(line, kVersion)) {
      HONE_RETURN_IF_ERROR(ReadHead(line, fuzz_case));
      has_head = true;
    } else if (absl::StartsWith(line, "target/")) {
      HONE_ASSIGN_OR_RETURN(fuzz_case.target, Target::Parse(line));
      has_target = true;
    } else {
      if (absl::StartsWith(line, "workload/")) part = &workload;
      if (absl::StartsWith(line, "schedule/")) part = &schedule;
      if (part == nullptr) return Bad("a line before workload/1");
      absl::StrAppend(part, line, "\n");
    }
  }
  if (!has_head || !has_target) return Bad("the lines case/1 and target/1 come first");
  HONE_ASSIGN_OR_RETURN(fuzz_case.workload, Workload::Parse(workload));
  HONE_ASSIGN_OR_RETURN(fuzz_case.schedule, Schedule::Parse(schedule));
  return fuzz_case;
}

Verdict CheckWith(const FuzzCase& fuzz_case, const KernelCase& values) {
  const auto outputs =
      RunKernel(fuzz_case.workload, fuzz_case.schedule, fuzz_case.target, values, fuzz_case.run_by);
  if (!outputs.ok()) {
    const Verdict::Kind kind = IsRefusal(outputs.status()) ? Verdict::kRefused : Verdict::kWrong;
    return {kind, outputs.status().ToString()};
  }
  std::string difference =
      DifferenceFromOracle(fuzz_case.workload, fuzz_case.schedule, values, *outputs);
  if (difference.empty()) return {Verdict::kAgrees, ""};
  return {Verdict::kWrong, std::move(difference)};
}

Verdict Check(const FuzzCase& fuzz_case) {
  std::mt19937_64 random(fuzz_case.seed);
  const auto values =
      DrawKernelCase(fuzz_case.workload, fuzz_case.params, fuzz_case.inputs, random);
  if (!values.ok()) return {Verdict::kWrong, values.status().ToString()};
  return CheckWith(fuzz_case, *values);
}

}  // namespace hone
