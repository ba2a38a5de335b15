// Each section of the page is a function from the state to markup; TuningPage puts them in order.
// A section that has nothing to show says so in words, or leaves itself out.
#include "cli/tuning_page.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/unix_time.h"
#include "cli/chart.h"
#include "cli/markup.h"
#include "cli/quantity.h"
#include "cli/tuning_page_assets.h"
#include "cli/tuning_summary.h"

namespace hone {
namespace {

// Charts write plain numbers, so each has one unit of time: the one that suits its largest value.
struct TimeUnit {
  const char* name;
  double nanos;
};
TimeUnit UnitFor(double nanos_max) {
  if (nanos_max < 1e3) return {"ns", 1};
  if (nanos_max < 1e6) return {"us", 1e3};
  if (nanos_max < 1e9) return {"ms", 1e6};
  return {"s", 1e9};
}

TimeUnit UnitOf(const WorkloadState& kernel) {
  return UnitFor(kernel.best_ns > 0 ? kernel.best_ns * 1.5 : kernel.default_ns);
}

double Gflops(double flops, double nanos) { return nanos > 0 ? flops / nanos : 0; }

std::string Pair(const std::string& term, const std::string& value) {
  return absl::StrCat("<div><dt>", EscapeMarkup(term), "</dt><dd>", value, "</dd></div>\n");
}

std::string Text(const std::string& value) { return EscapeMarkup(value); }

std::string Figure(const std::string& caption, const std::string& svg) {
  return absl::StrCat("<figure><figcaption>", EscapeMarkup(caption), "</figcaption>\n", svg,
                      "</figure>\n");
}

std::string Head(const TuningSummary& summary, const TuningState& state, const TuningFacts& facts) {
  std::string html = absl::StrCat("<header>\n<h1>", Text(facts.model), "</h1>\n<p class=\"faint\">",
                                  "Tuned by hone for ", Text(facts.target.cpu), ", ",
                                  FormatUnixMillis(facts.unix_ms), " UTC</p>\n");
  if (facts.interrupted) {
    html +=
        "<p class=\"notice\">Stopped before the end. All that was measured is kept; the same "
        "command goes on from here.</p>\n";
  }
  html += "<dl class=\"numbers\">\n";
  const double gain = summary.best_ns > 0 ? summary.default_ns / summary.best_ns : 0;
  html += Pair(
      "time of the model",
      absl::StrCat(FormatNanos(summary.best_ns), "<small>",
                   summary.default_ns > 0 ? absl::StrCat("from ", FormatNanos(summary.default_ns),
                                                         ", ", FormatRatio(gain), " as fast")
                                          : "not every kernel is measured",
                   "</small>"));
  html += Pair(
      "of the machine's limit",
      absl::StrCat(
          FormatShare(summary.best_ns > 0 ? summary.limit_ns / summary.best_ns : 0), "<small>",
          summary.left_ns > 0 ? absl::StrCat(FormatNanos(summary.left_ns), " left to gain") : "",
          "</small>"));
  const double rate = state.elapsed_s > 0 ? static_cast<double>(state.trials) / state.elapsed_s : 0;
  html += Pair("trials",
               absl::StrCat(state.trials, "<small>", absl::StrFormat("%.1f a second", rate), "; ",
                            state.builds, " compilations",
                            summary.earlier_trials > 0
                                ? absl::StrCat("; ", summary.earlier_trials, " known from before")
                                : "",
                            "</small>"));
  html +=
      Pair("took", absl::StrCat(FormatWait(state.elapsed_s), "<small>", summary.by_time.size(),
                                summary.by_time.size() == 1 ? " kernel" : " kernels", "</small>"));
  html += "</dl>\n<dl class=\"facts\">\n";
  const Target& target = facts.target;
  html += Pair("processor", Text(absl::StrCat(target.cpu, ", ", target.arch)));
  html += Pair("vector unit", absl::StrCat(target.VectorBits(), " bits"));
  html += Pair("threads", absl::StrCat(target.threads, " of ", target.cores,
                                       target.cores == 1 ? " core" : " cores"));
  html += Pair("caches",
               absl::StrCat(FormatBytes(target.l1_bytes), ", ", FormatBytes(target.l2_bytes), ", ",
                            target.l3_bytes > 0 ? FormatBytes(target.l3_bytes) : "none"));
  const double peak = state.speed.peak_gflops() * target.threads;
  html += Pair("peak, measured beside",
               peak > 0 ? absl::StrCat(FormatGflops(peak), " GFLOP/s fp32") : "-");
  html += Pair("numerics", std::string(NumericsName(facts.numerics)));
  if (!facts.device.empty()) html += Pair("device", Text(facts.device));
  html += Pair("seed", absl::StrCat(facts.seed));
  html += Pair("hone", Text(facts.tool_version));
  return html + "</dl>\n</header>\n";
}

// The model's time as it fell, against trials and against seconds.
std::string ModelSection(const TuningSummary& summary, const TuningState& state) {
  const ModelCurve curve = ModelCurveOf(state);
  if (curve.by_trials.empty()) return "";
  const TimeUnit unit = UnitFor(curve.by_trials.front().second);
  auto chart = [&](const std::vector<std::pair<double, double>>& points, const std::string& title) {
    Chart drawn(absl::StrCat("time of the model against ", title), {title, false, true},
                {absl::StrCat("model, ", unit.name)}, {430, 220});
    std::vector<std::pair<double, double>> scaled;
    for (const auto& [x, nanos] : points) scaled.emplace_back(x, nanos / unit.nanos);
    drawn.AddLevel(summary.limit_ns / unit.nanos, "limit of the machine", Chart::Side::kAbove,
                   "limit");
    drawn.AddLevel(summary.default_ns / unit.nanos, "default schedules", Chart::Side::kBelow,
                   "default");
    drawn.AddSteps(scaled, "best");
    return drawn.ToSvg();
  };
  return absl::StrCat(
      "<h2>The model</h2>\n<p class=\"faint\">The best times of all kernels, each as often as the "
      "model calls it; that of the default schedule until something was faster.</p>\n"
      "<div class=\"charts two\">\n",
      Figure("best so far, against trials", chart(curve.by_trials, "trials")),
      Figure("best so far, against seconds", chart(curve.by_seconds, "seconds")), "</div>\n");
}

// A cell with the value that its column is sorted by.
std::string Cell(const std::string& markup, double value) {
  return absl::StrCat("<td data-value=\"", absl::StrFormat("%.9g", value), "\">", markup, "</td>");
}
std::string TextCell(const std::string& markup, const std::string& value) {
  return absl::StrCat("<td class=\"text\" data-value=\"", EscapeMarkup(value), "\">", markup,
                      "</td>");
}

std::string Bar(double share, const std::string& style) {
  return absl::StrFormat("<span class=\"bar\"><i class=\"%s\" style=\"width:%.0f%%\"></i></span>",
                         style, 100 * std::clamp(share, 0.0, 1.0));
}

std::string KernelTable(const TuningSummary& summary) {
  std::string html =
      "<h2>Kernels</h2>\n<div class=\"scroll\"><table class=\"kernels\">\n<thead><tr><th>#</th>"
      "<th class=\"text\">kernel</th><th>calls</th><th>default</th><th>tuned</th><th>gain</th>"
      "<th>GFLOP/s</th><th>of limit</th><th class=\"text\">limit is</th><th>left to gain</th>"
      "<th>trials</th><th>failed</th><th class=\"text\">ended</th></tr></thead>\n<tbody>\n";
  int64_t failures = 0;
  for (size_t k = 0; k < summary.by_time.size(); ++k) {
    const WorkloadState& kernel = *summary.by_time[k];
    failures += kernel.failures;
    const double share = LimitShare(kernel);
    const double gain = kernel.best_ns > 0 ? kernel.default_ns / kernel.best_ns : 0;
    const double left = LeftNanos(kernel);
    const std::string bound = share > 0 ? BoundName(kernel.roofline.bound) : "-";
    const std::string reason = kernel.reason.empty() ? "stopped" : kernel.reason;
    absl::StrAppend(&html, "<tr>", Cell(absl::StrCat(k + 1), static_cast<double>(k + 1)),
                    TextCell(absl::StrCat("<a href=\"#k", k + 1, "\">", Text(kernel.name), "</a>"),
                             kernel.name),
                    Cell(absl::StrCat(kernel.calls), kernel.calls),
                    Cell(FormatNanos(kernel.default_ns), kernel.default_ns),
                    Cell(FormatNanos(kernel.best_ns), kernel.best_ns),
                    Cell(FormatRatio(gain), gain));
    absl::StrAppend(
        &html,
        Cell(FormatGflops(Gflops(kernel.flops, kernel.best_ns)),
             Gflops(kernel.flops, kernel.best_ns)),
        Cell(share > 0 ? Bar(share, bound) + FormatShare(share) : "-", share),
        TextCell(bound, bound),
        Cell((left > 0 ? Bar(left / summary.left_ns, "") : "") + FormatNanos(left), left),
        Cell(absl::StrCat(kernel.trials.size()), static_cast<double>(kernel.trials.size())),
        Cell(absl::StrCat(kernel.failures), kernel.failures), TextCell(Text(reason), reason),
        "</tr>\n");
  }
  const double gain = summary.best_ns > 0 ? summary.default_ns / summary.best_ns : 0;
  absl::StrAppend(
      &html, "</tbody>\n<tfoot><tr><td></td><td class=\"text\">the whole model</td><td>",
      summary.calls, "</td><td>", FormatNanos(summary.default_ns), "</td><td>",
      FormatNanos(summary.best_ns), "</td><td>", FormatRatio(gain), "</td><td></td><td>",
      FormatShare(summary.best_ns > 0 ? summary.limit_ns / summary.best_ns : 0),
      "</td><td></td><td>", FormatNanos(summary.left_ns), "</td><td>", summary.trials, "</td><td>",
      failures, "</td><td></td></tr></tfoot>\n</table></div>\n");
  return html +
         "<p class=\"faint\">Times are of one call; left to gain is over all calls of the model. "
         "The default is the analytic model's first choice, before anything was measured.</p>\n";
}

// All kernels under the roofs of the machine. A kernel's circle is as large as its share of the
// model's time, and stands over where its default schedule was.
std::string RooflineSection(const TuningSummary& summary, const TuningState& state,
                            const Target& target) {
  const MachineProfile profile = MachineProfile::For(target, state.speed);
  const double peak = PeakGflops(target, profile);
  Chart chart("kernels under the roofline", {"operations a byte moved at least (FLOP/B)", true},
              {"GFLOP/s", true}, {1000, 440});
  double time_ns = 0;
  for (const WorkloadState* kernel : summary.by_time) time_ns += kernel->calls * kernel->best_ns;
  std::map<Bound, std::vector<ChartPoint>> by_bound;
  std::vector<ChartPoint> defaults;
  int off_chart = 0;
  constexpr size_t kNumbered = 20;
  double lowest = peak;
  for (size_t k = 0; k < summary.by_time.size(); ++k) {
    const WorkloadState& kernel = *summary.by_time[k];
    const Roofline& roofline = kernel.roofline;
    if (!(kernel.best_ns > 0) || !(roofline.flops > 0) || !(roofline.bytes > 0)) {
      ++off_chart;
      continue;
    }
    const double intensity = roofline.flops / roofline.bytes;
    const double rate = Gflops(roofline.flops, kernel.best_ns);
    const double before = Gflops(roofline.flops, kernel.default_ns);
    lowest = std::min({lowest, rate, before > 0 ? before : rate});
    by_bound[roofline.bound].push_back(
        {.x = intensity,
         .y = rate,
         .title =
             absl::StrFormat("%s: %.1f GFLOP/s, %s of the limit (%s), %s of the model", kernel.name,
                             rate, FormatShare(LimitShare(kernel)), BoundName(roofline.bound),
                             FormatShare(kernel.calls * kernel.best_ns / time_ns)),
         .label = k < kNumbered ? absl::StrCat(k + 1) : "",
         .link = absl::StrCat("#k", k + 1),
         .radius = 3 + 11 * std::sqrt(kernel.calls * kernel.best_ns / time_ns)});
    if (before > 0 && before < rate * 0.99) {
      defaults.push_back({.x = intensity, .y = before, .title = kernel.name + ": default"});
      chart.AddGuide({intensity, before}, {intensity, rate}, "", "gained");
    }
  }
  if (by_bound.empty()) return "";
  // Room above the roof, and to the left and right of where the kernels are.
  chart.AddLevel(peak, absl::StrFormat("peak, %.1f GFLOP/s", peak), Chart::Side::kAbove, "compute");
  for (Bound from : ReadBounds(target)) {
    const double gbps = ReadGbps(from, target, profile);
    const double least = std::min(0.01, lowest / gbps / 10);
    chart.AddGuide({least, least * gbps}, {peak / gbps, peak},
                   absl::StrFormat("%s, %.0f GB/s", BoundName(from), gbps), BoundName(from));
  }
  chart.AddPoints(std::move(defaults), "default");
  std::string legend;
  for (auto& [bound, points] : by_bound) {
    absl::StrAppend(&legend, "<span><span class=\"key ", BoundName(bound), "\"></span>limited by ",
                    BoundName(bound), "</span>");
    chart.AddPoints(std::move(points), BoundName(bound));
  }
  return absl::StrCat(
      "<h2>Roofline</h2>\n<p class=\"faint\">The level roof is the measured peak of ",
      FormatGflops(peak), " GFLOP/s, the slanted ones what its caches and memory deliver, ",
      profile.measured ? "as the device measured it when its agent started"
                       : "typically, since the device has not measured it",
      ". Numbers are those of the table; a circle is as large as the kernel's share of the "
      "model's time, the small ring below it its default schedule. Operations are those of the "
      "cheapest algorithm known, bytes those of each argument once.",
      off_chart > 0 ? absl::StrCat(" Not shown: ", off_chart,
                                   " that were not measured or compute nothing to speak of.")
                    : "",
      "</p>\n<div class=\"legend\">", legend, "</div>\n<div class=\"scroll wide\">", chart.ToSvg(),
      "</div>\n");
}

std::string TrialTitle(const Trial& trial, size_t number) {
  std::string title = absl::StrCat("trial ", number, ": ");
  absl::StrAppend(&title,
                  trial.cost_ns > 0 ? FormatNanos(trial.cost_ns) : FailureText(trial.failure),
                  ", predicted ", FormatNanos(trial.predicted_ns));
  if (trial.expected_ns > 0) {
    absl::StrAppend(&title, ", after learning ", FormatNanos(trial.expected_ns));
  }
  if (!trial.origin.empty()) absl::StrAppend(&title, ", from ", trial.origin);
  if (!trial.seconds) absl::StrAppend(&title, ", of an earlier session");
  return title;
}

enum class Against { kTrials, kSeconds };

// A trial that took many times the best would squeeze all others together: it stands at so many
// times the best, marked, and its title says what it took.
constexpr double kSlowestShown = 3;

// The trials of a kernel as points, by the style of each: "trial", "earlier", "slow", "failed",
// and "winner" for the fastest.
using Series = std::map<std::string, std::vector<ChartPoint>>;

double FastestTrialNanos(const WorkloadState& kernel) {
  double fastest_ns = 0;
  for (const Trial& trial : kernel.trials) {
    if (!(trial.cost_ns > 0)) continue;
    fastest_ns = fastest_ns > 0 ? std::min(fastest_ns, trial.cost_ns) : trial.cost_ns;
  }
  return fastest_ns;
}

void AddTrial(const WorkloadState& kernel, size_t t, double x, double fastest_ns, Series* series) {
  const Trial& trial = kernel.trials[t];
  const double shown_ns = std::min(trial.cost_ns, kSlowestShown * fastest_ns);
  ChartPoint point{.x = x, .y = shown_ns / UnitOf(kernel).nanos, .title = TrialTitle(trial, t + 1)};
  const char* style = "trial";
  if (!(trial.cost_ns > 0)) {
    style = "failed";
  } else if (shown_ns < trial.cost_ns) {
    style = "slow";
  } else if (trial.cost_ns == fastest_ns) {
    style = "winner";
    point.radius = 4;
  } else if (!trial.seconds) {
    style = "earlier";
  }
  (*series)[style].push_back(std::move(point));
}

// The fastest on top.
void Draw(Series series, Chart* chart) {
  for (const char* style : {"earlier", "slow", "trial", "winner"}) {
    chart->AddPoints(std::move(series[style]), style);
  }
  chart->AddCrosses(std::move(series["failed"]), "failed");
}

// Every trial as a point, the best so far as a line. Against seconds, what earlier sessions found
// is the level that the line begins at.
std::string BestSoFar(const WorkloadState& kernel, Against against, double elapsed_s) {
  const TimeUnit unit = UnitOf(kernel);
  const bool seconds = against == Against::kSeconds;
  const std::string title = seconds ? "seconds" : "trials";
  Chart chart(absl::StrCat("best time of ", kernel.name, " against ", title), {title, false, true},
              {absl::StrCat("time, ", unit.name), true});
  const double fastest_ns = FastestTrialNanos(kernel);
  Series series;
  std::vector<std::pair<double, double>> best;
  double best_ns = 0;
  for (size_t t = 0; t < kernel.trials.size(); ++t) {
    const Trial& trial = kernel.trials[t];
    const double x = seconds ? trial.seconds.value_or(0) : static_cast<double>(t + 1);
    if (!seconds || trial.seconds) AddTrial(kernel, t, x, fastest_ns, &series);
    if (!(trial.cost_ns > 0) || (best_ns > 0 && trial.cost_ns >= best_ns)) continue;
    best_ns = trial.cost_ns;
    if (!best.empty() && best.back().first == x) best.pop_back();
    best.emplace_back(x, std::min(best_ns, kSlowestShown * fastest_ns) / unit.nanos);
  }
  if (best_ns > 0) {
    const double end = seconds ? elapsed_s : static_cast<double>(kernel.trials.size());
    best.emplace_back(std::max(end, best.back().first), best_ns / unit.nanos);
  }
  chart.AddLevel(kernel.roofline.ns / unit.nanos, "limit", Chart::Side::kAbove, "limit");
  chart.AddLevel(kernel.default_ns / unit.nanos, "default", Chart::Side::kAbove, "default");
  Draw(std::move(series), &chart);
  chart.AddSteps(std::move(best), "best");
  return Figure(absl::StrCat("best so far, against ", title), chart.ToSvg());
}

// How far the cost model was off, as a share of the measured time: the median; 0 while it
// predicted few.
double MedianError(const WorkloadState& kernel) {
  constexpr size_t kFew = 8;
  std::vector<double> errors;
  for (const Trial& trial : kernel.trials) {
    if (!(trial.cost_ns > 0) || !(trial.expected_ns > 0)) continue;
    errors.push_back(std::abs(trial.expected_ns / trial.cost_ns - 1));
  }
  if (errors.size() < kFew) return 0;
  std::nth_element(errors.begin(), errors.begin() + errors.size() / 2, errors.end());
  return errors[errors.size() / 2];
}

// Each trial at the time that was predicted when it was chosen: by the cost model, or by the prior
// as long as that had learnt nothing.
std::string Guesses(const WorkloadState& kernel) {
  const TimeUnit unit = UnitOf(kernel);
  Chart chart(absl::StrCat("predicted against measured times of ", kernel.name),
              {absl::StrCat("predicted, ", unit.name), true},
              {absl::StrCat("measured, ", unit.name), true});
  chart.MakeAxesEqual();
  chart.AddGuide({1e-9, 1e-9}, {1e9, 1e9}, "", "diagonal");
  const double fastest_ns = FastestTrialNanos(kernel);
  Series by_prior, by_model;
  for (size_t t = 0; t < kernel.trials.size(); ++t) {
    const Trial& trial = kernel.trials[t];
    const bool learnt = trial.expected_ns > 0;
    AddTrial(kernel, t, (learnt ? trial.expected_ns : trial.predicted_ns) / unit.nanos, fastest_ns,
             learnt ? &by_model : &by_prior);
  }
  // Those of earlier sessions were predicted by the prior alone, as far as records say.
  by_prior["earlier"].insert(by_prior["earlier"].end(), by_prior["trial"].begin(),
                             by_prior["trial"].end());
  by_prior.erase("trial");
  Draw(std::move(by_prior), &chart);
  Draw(std::move(by_model), &chart);
  const double error = MedianError(kernel);
  return Figure(absl::StrCat("predicted against measured",
                             error > 0 ? absl::StrFormat(", %.0f %% off after learning",
                                                         std::max(1.0, 100 * error))
                                       : ""),
                chart.ToSvg());
}

// "91.2 % of the limit (compute), gap 8.8 %: 231 MFLOP at the peak take at least 2.20 ms."
std::string Certificate(const WorkloadState& kernel) {
  const Roofline& roofline = kernel.roofline;
  const double share = LimitShare(kernel);
  if (!(share > 0)) {
    return kernel.reason.empty() ? "Nothing was measured."
                                 : absl::StrCat("Not tuned: ", Text(kernel.reason), ".");
  }
  std::string text = absl::StrCat(
      FormatNanos(kernel.default_ns), " &rarr; <b>", FormatNanos(kernel.best_ns), "</b> (",
      FormatRatio(kernel.default_ns / kernel.best_ns), "), ", kernel.calls,
      kernel.calls == 1 ? " call" : " calls", ". <b>", FormatShare(share), " of the limit</b>");
  if (share < 1) absl::StrAppend(&text, ", gap ", FormatShare(1 - share));
  const std::string least = FormatNanos(roofline.ns);
  if (roofline.bound == Bound::kCompute) {
    absl::StrAppendFormat(&text, ": %.3g MFLOP at the machine's peak take at least %s.",
                          roofline.flops / 1e6, least);
  } else {
    absl::StrAppend(&text, ": ", FormatBytes(static_cast<int64_t>(roofline.bytes)), " from ",
                    roofline.bound == Bound::kMemory ? "memory" : BoundName(roofline.bound),
                    " take at least ", least, ".");
  }
  return absl::StrCat(text, " Ended: ", Text(kernel.reason.empty() ? "stopped" : kernel.reason),
                      ".");
}

std::string FailureCounts(const WorkloadState& kernel) {
  std::map<pb::FailureKind, int> counts;
  for (const Trial& trial : kernel.trials) {
    if (trial.failure != pb::OK) ++counts[trial.failure];
  }
  if (counts.empty()) return "";
  return absl::StrCat(" Failed (red crosses): ",
                      absl::StrJoin(counts, ", ",
                                    [](std::string* out, const auto& count) {
                                      absl::StrAppend(out, count.second, " by ",
                                                      FailureText(count.first));
                                    }),
                      ".");
}

std::string KernelSection(const WorkloadState& kernel, size_t number, double elapsed_s) {
  std::string html =
      absl::StrCat("<section class=\"kernel\" id=\"k", number, "\">\n<h3><span class=\"rank\">",
                   number, "</span>", Text(kernel.name), "</h3>\n<p>", Certificate(kernel),
                   FailureCounts(kernel), "</p>\n");
  if (!kernel.trials.empty()) {
    const bool any_seconds =
        std::any_of(kernel.trials.begin(), kernel.trials.end(),
                    [](const Trial& trial) { return trial.seconds.has_value(); });
    absl::StrAppend(&html, "<div class=\"charts\">\n",
                    BestSoFar(kernel, Against::kTrials, elapsed_s),
                    any_seconds ? BestSoFar(kernel, Against::kSeconds, elapsed_s)
                                : "<figure><figcaption>best so far, against seconds</figcaption>"
                                  "<p class=\"faint\">All its trials are of earlier sessions."
                                  "</p></figure>\n",
                    Guesses(kernel), "</div>\n");
  }
  if (!kernel.best_schedule.empty()) {
    absl::StrAppend(&html, "<pre>", Text(kernel.best_schedule), "</pre>\n");
  }
  return html + "</section>\n";
}

}  // namespace

std::string TuningPage(const TuningState& state, const TuningFacts& facts) {
  const TuningSummary summary = Summarize(state);
  std::string html = absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
      "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      Text(facts.model), " tuned by hone</title>\n<style>\n", kTuningPageStyle,
      "</style>\n</head>\n<body>\n", Head(summary, state, facts));
  if (summary.trials == 0) {
    html += "<p class=\"notice\">Nothing was measured, so there is nothing to draw.</p>\n";
  }
  html += ModelSection(summary, state);
  if (!summary.by_time.empty()) html += KernelTable(summary);
  html += RooflineSection(summary, state, facts.target);
  if (!summary.by_time.empty()) html += "<h2>Each kernel</h2>\n";
  for (size_t k = 0; k < summary.by_time.size(); ++k) {
    html += KernelSection(*summary.by_time[k], k + 1, state.elapsed_s);
  }
  absl::StrAppend(&html, "<footer>Written by hone ", Text(facts.tool_version),
                  ". Point at a dot to read it. Pale dots: of earlier sessions, or predicted by "
                  "the analytic model before anything was learnt; rings: slower than they stand."
                  "</footer>\n<script>\n",
                  kTuningPageScript, "</script>\n</body>\n</html>\n");
  return html;
}

}  // namespace hone
