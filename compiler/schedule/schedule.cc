#include "compiler/schedule/schedule.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace hone {
namespace {

// Every verb and the parser of what follows it.
struct Verb {
  const char* name;
  StatusOr<Step> (*parse)(TextReader&);
};
constexpr Verb kVerbs[] = {
    {"accumulate", ParseAccumulate},
    {"at", ParseAt},
    {"cache", ParseCache},
    {"flatten", ParseFlatten},
    {"fuse", ParseFuse},
    {"hilbert", ParseHilbert},
    {"im2col", ParseIm2col},
    {"inline", ParseInline},
    {"layout", ParseLayout},
    {"microkernel", ParseMicrokernel},
    {"pad", ParsePad},
    {"parallel", ParseParallel},
    {"param", ParseParam},
    {"prefetch", ParsePrefetch},
    {"prepare", ParsePrepare},
    {"reorder", ParseReorder},
    {"running", ParseRunning},
    {"split", ParseSplitPrecision},
    {"split_reduce", ParseSplitReduce},
    {"strassen", ParseStrassen},
    {"stream", ParseStream},
    {"tensorize", ParseTensorize},
    {"tile", ParseTile},
    {"unroll", ParseUnroll},
    {"vectorize", ParseVectorize},
    {"winograd", ParseWinograd},
};

constexpr char kHeading[] = "schedule/1\n";

StatusOr<Step> ParseStep(TextReader& reader) {
  const TextReader before = reader;  // errors name the place of the verb
  HONE_ASSIGN_OR_RETURN(std::string word, reader.Word("a step, such as 'tile y w 6'"));
  for (const Verb& verb : kVerbs) {
    if (word == verb.name) return verb.parse(reader);
  }
  std::string verbs;
  for (const Verb& verb : kVerbs) absl::StrAppend(&verbs, verbs.empty() ? "" : ", ", verb.name);
  return absl::UnimplementedError(absl::StrCat(std::string(before.Error("").message()), "'", word,
                                               "' is no schedule step; the steps are ", verbs));
}

// The steps [begin, end); an error names the step by its number and text.
Status ApplySteps(const std::vector<Step>& steps, size_t begin, size_t end, LoopNest& nest) {
  for (size_t i = begin; i < end; ++i) {
    Status status = Apply(steps[i], nest);
    if (!status.ok()) {
      return Status(status.code(), absl::StrCat("step ", i + 1, " (", ToString(steps[i]),
                                                "): ", std::string(status.message())));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string ToString(const Step& step) {
  return std::visit([](const auto& s) { return ToString(s); }, step);
}

Status Apply(const Step& step, LoopNest& nest) {
  return std::visit([&](const auto& s) { return Apply(s, nest); }, step);
}

std::string Schedule::ToString() const {
  std::string text = kHeading;
  for (const Step& step : steps) absl::StrAppend(&text, hone::ToString(step), "\n");
  return text;
}

StatusOr<Schedule> Schedule::Parse(absl::string_view text, absl::string_view what) {
  TextReader reader(text, what);
  reader.AtEnd();
  if (!reader.TryWord("schedule") || !reader.TryMark("/1")) {
    return reader.Error("expected 'schedule/1'; is this from a newer hone?");
  }
  HONE_RETURN_IF_ERROR(reader.EndLine());
  Schedule schedule;
  while (!reader.AtEnd()) {
    HONE_ASSIGN_OR_RETURN(Step step, ParseStep(reader));
    HONE_RETURN_IF_ERROR(reader.EndLine());
    schedule.steps.push_back(std::move(step));
  }
  return schedule;
}

std::string Schedule::BoundaryLayoutText(const Workload& workload) const {
  std::vector<Layout> layouts;
  for (const Buffer& buffer : workload.buffers) {
    layouts.push_back(Layout::Identity(static_cast<int>(buffer.shape.size())));
    for (const Step& step : steps) {
      const auto* layout = std::get_if<LayoutStep>(&step);
      if (layout != nullptr && layout->buffer == buffer.name) layouts.back() = layout->layout;
    }
  }
  return hone::BoundaryLayoutText(workload, layouts);
}

std::string BoundaryLayoutText(const Workload& workload, const std::vector<Layout>& layouts) {
  std::string text;
  for (size_t b = 0; b < layouts.size(); ++b) {
    if (layouts[b].IsIdentity()) continue;
    absl::StrAppend(&text, text.empty() ? "" : ";", workload.buffers[b].name, " ",
                    layouts[b].ToString());
  }
  return text;
}

StatusOr<LoopNest> ApplySchedule(const Schedule& schedule, const Workload& workload) {
  LoopNest nest(workload);
  HONE_RETURN_IF_ERROR(ApplySteps(schedule.steps, 0, schedule.steps.size(), nest));
  return nest;
}

Status CheckAlgorithms(const Schedule& schedule, Numerics numerics) {
  for (size_t i = 0; i < schedule.steps.size(); ++i) {
    const Step& step = schedule.steps[i];
    bool allowed = true;
    if (std::holds_alternative<WinogradStep>(step)) {
      allowed = WinogradTileMax(numerics) > 0;
    } else if (std::holds_alternative<StrassenStep>(step)) {
      allowed = AllowsStrassen(numerics);
    } else if (const auto* split = std::get_if<SplitPrecisionStep>(&step)) {
      allowed = SplitTermsMin(numerics) > 0 && split->terms >= SplitTermsMin(numerics);
    } else if (std::holds_alternative<RunningStep>(step)) {
      allowed = MayRescaleSums(numerics);
    }
    if (allowed) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("step ", i + 1, " (", ToString(step), "): numerics ", NumericsName(numerics),
                     " allows ", NumericsDescription(numerics), " only"));
  }
  return absl::OkStatus();
}

StatusOr<Schedule> ScheduleReader::Read(absl::string_view lines, std::string* text) {
  Schedule schedule;
  std::string all = kHeading;
  absl::string_view rest = lines;
  bool known = absl::ConsumePrefix(&rest, kHeading);
  while (known && !rest.empty()) {
    const size_t length = std::min(rest.find('\n'), rest.size());
    const Line* line = LineOf(std::string(rest.substr(0, length)));
    rest.remove_prefix(std::min(length + 1, rest.size()));
    known = line != nullptr;
    if (!known) break;
    schedule.steps.push_back(line->step);
    all += line->text;
  }
  if (!known) {  // errors name the place in the whole
    HONE_ASSIGN_OR_RETURN(schedule, Schedule::Parse(lines));
    all = schedule.ToString();
  }
  if (text != nullptr) *text = std::move(all);
  return schedule;
}

const ScheduleReader::Line* ScheduleReader::LineOf(const std::string& text) {
  const auto known = known_.find(text);
  if (known != known_.end()) return &known->second;
  TextReader reader(text, "schedule");
  if (reader.AtEnd()) return nullptr;
  const StatusOr<Step> step = ParseStep(reader);
  if (!step.ok() || !reader.EndLine().ok()) return nullptr;
  return &known_.emplace(text, Line{*step, absl::StrCat(ToString(*step), "\n")}).first->second;
}

StatusOr<LoopNest> ScheduleSeries::Apply(const Schedule& schedule) {
  const std::vector<Step>& steps = schedule.steps;
  size_t alike = 0;
  while (alike < steps.size() && alike < last_.size() && steps[alike] == last_[alike]) ++alike;
  last_ = steps;
  if (alike < shared_steps_) {
    shared_ = whole_;
    shared_steps_ = 0;
  }
  if (alike > shared_steps_) {
    LoopNest longer = shared_;
    HONE_RETURN_IF_ERROR(ApplySteps(steps, shared_steps_, alike, longer));
    shared_ = std::move(longer);
    shared_steps_ = alike;
  }
  LoopNest nest = shared_;
  HONE_RETURN_IF_ERROR(ApplySteps(steps, alike, steps.size(), nest));
  return nest;
}

}  // namespace hone
