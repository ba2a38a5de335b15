#include "cli/record_report.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/target.h"
#include "base/unix_time.h"
#include "cli/kernel_caption.h"
#include "cli/quantity.h"
#include "cli/table.h"
#include "compiler/ir/workload.h"
#include "db/reproducibility.h"

namespace hone {
namespace {

constexpr size_t kShortKey = 8;  // characters of a key that tables show

double Flops(absl::string_view workload_text) {
  StatusOr<Workload> workload = Workload::Parse(workload_text);
  return workload.ok() ? FlopCount(*workload) : 0;
}

int Threads(absl::string_view target_text) {
  StatusOr<Target> target = Target::Parse(target_text);
  return target.ok() ? target->threads : 1;
}

// Of the peak of all threads that the kernel may use.
double PeakShare(double flops, const pb::Measurement& measurement, int threads) {
  if (!(measurement.cost_ns() > 0) || !(measurement.peak_gflops() > 0)) return 0;
  return flops / measurement.cost_ns() / (measurement.peak_gflops() * threads);
}

// "znver3, 2 threads"
std::string TargetCaption(absl::string_view target_text) {
  StatusOr<Target> target = Target::Parse(target_text);
  if (!target.ok()) return std::string(target_text);
  return absl::StrCat(target->cpu, ", ", target->threads,
                      target->threads == 1 ? " thread" : " threads");
}

std::string FailureName(const pb::Measurement& measurement) {
  return measurement.failure() == pb::OK ? "ok" : pb::FailureKind_Name(measurement.failure());
}

// "0.93x": the rms error over that of sequential fp32; where that does not err, or is not known,
// relative to the values: "6.0e-08".
std::string ErrorOf(const pb::Measurement& measurement) {
  if (measurement.error_ratio() > 0) return absl::StrFormat("%.2fx", measurement.error_ratio());
  return measurement.rms_error() > 0 ? absl::StrFormat("%.1e", measurement.rms_error()) : "-";
}

StatusOr<std::vector<RecordSummary>> SummariesOf(const RecordStore& store,
                                                 std::optional<Numerics> numerics) {
  HONE_ASSIGN_OR_RETURN(std::vector<RecordSummary> summaries, store.Summarize());
  if (numerics) {
    std::erase_if(summaries, [&](const RecordSummary& summary) {
      return summary.key.numerics != NumericsName(*numerics);
    });
  }
  return summaries;
}

// OK before failed, what counts before what does not, then the fastest first.
bool Better(const pb::Record& left, const pb::Record& right) {
  const pb::Measurement& a = left.measurement();
  const pb::Measurement& b = right.measurement();
  if ((a.failure() == pb::OK) != (b.failure() == pb::OK)) return a.failure() == pb::OK;
  if (a.taint().empty() != b.taint().empty()) return a.taint().empty();
  return a.cost_ns() < b.cost_ns();
}

void AppendBestSchedule(const pb::Record& best, std::string* out) {
  const std::string error = ErrorOf(best.measurement());
  absl::StrAppend(out, "\nbest on ", TargetCaption(best.target()), " (", best.numerics(),
                  error == "-" ? "" : absl::StrCat(", error ", error),
                  "): ", FormatNanos(best.measurement().cost_ns()), ", measured on ",
                  best.measurement().device(), " at ",
                  FormatUnixMillis(best.measurement().unix_ms()), "\n");
  for (absl::string_view line : absl::StrSplit(best.schedule(), '\n', absl::SkipEmpty())) {
    absl::StrAppend(out, "  ", line, "\n");
  }
}

// "reproducibility 72 of 100: measured 3 times on 2 devices, medians within 1.4 %, ..."
void AppendScore(const Reproducibility& reproducibility, std::string* out) {
  absl::StrAppendFormat(out, "reproducibility %d of 100: measured %d %s on %d %s",
                        reproducibility.score, reproducibility.sessions,
                        reproducibility.sessions == 1 ? "time" : "times", reproducibility.devices,
                        reproducibility.devices == 1 ? "device" : "devices");
  if (reproducibility.sessions > 1) {
    absl::StrAppendFormat(out, ", medians within %.1f %%", 100 * reproducibility.spread);
  }
  absl::StrAppendFormat(out, ", %.1f %% of it in quiet\n", 100 * reproducibility.quiet_share);
}

// What is wrong, or how the times were taken if not as usual.
std::string MessageOf(const pb::Measurement& measurement) {
  if (measurement.failure() != pb::OK) return measurement.message();
  std::vector<std::string> notes;
  if (!measurement.taint().empty()) {
    notes.push_back(absl::StrCat("does not count: ", measurement.taint()));
  }
  if (measurement.cold_constants()) notes.push_back("constants from memory");
  if (measurement.not_quiet()) {
    notes.push_back(measurement.disturbance().empty()
                        ? "beside other work"
                        : absl::StrCat("beside other work: ", measurement.disturbance()));
  }
  return absl::StrJoin(notes, ", ");
}

// Where the median lies, 95 % sure.
std::string IntervalOf(const pb::Measurement& measurement) {
  if (measurement.high_ns() <= 0) return "-";
  return absl::StrCat(FormatNanos(measurement.low_ns()), " to ",
                      FormatNanos(measurement.high_ns()));
}

}  // namespace

StatusOr<std::string> RecordOverview(const RecordStore& store, const ReportOptions& options) {
  HONE_ASSIGN_OR_RETURN(std::vector<RecordSummary> summaries, SummariesOf(store, options.numerics));
  Table table({{"kernel"},
               {"target"},
               {"class"},
               {"trials", Align::kRight},
               {"failed", Align::kRight},
               {"best", Align::kRight},
               {"GFLOP/s", Align::kRight},
               {"of peak", Align::kRight},
               {"score", Align::kRight},
               {"latest"},
               {"key"}});
  int64_t kernels = 0;
  int64_t records = 0;
  for (const RecordSummary& summary : summaries) {
    HONE_ASSIGN_OR_RETURN(std::optional<pb::Record> best, store.Best(summary.key));
    int score = 0;
    if (best) {
      HONE_ASSIGN_OR_RETURN(const std::vector<pb::Record> history, store.History(summary.key));
      score = ReproducibilityOf(*best, history, options.now_unix_ms).score;
    }
    if (score < options.min_score) continue;
    ++kernels;
    records += summary.records;
    const double flops = Flops(summary.workload);
    const double cost_ns = best ? best->measurement().cost_ns() : 0;
    table.AddRow(
        {KernelCaption(summary.workload), TargetCaption(summary.key.target), summary.key.numerics,
         absl::StrCat(summary.records), absl::StrCat(summary.failures), FormatNanos(cost_ns),
         FormatGflops(cost_ns > 0 ? flops / cost_ns : 0),
         best ? FormatShare(PeakShare(flops, best->measurement(), Threads(summary.key.target)))
              : "-",
         best ? absl::StrCat(score) : "-", FormatUnixMillis(summary.latest_unix_ms),
         summary.key.workload_key.substr(0, kShortKey)});
  }
  if (summaries.empty()) return std::string("no records yet. Next: hone tune MODEL.onnx\n");
  return absl::StrCat(table.Render(options.width), "\n", kernels,
                      kernels == 1 ? " kernel, " : " kernels, ", records,
                      " measurements. Next: hone records --kernel KEY, or hone compile\n");
}

StatusOr<std::string> RecordDetails(const RecordStore& store, absl::string_view key_prefix,
                                    int64_t limit, const ReportOptions& options) {
  HONE_ASSIGN_OR_RETURN(std::vector<RecordSummary> summaries, SummariesOf(store, options.numerics));
  std::set<std::string> keys;
  for (const RecordSummary& summary : summaries) {
    if (absl::StartsWith(summary.key.workload_key, key_prefix)) {
      keys.insert(summary.key.workload_key);
    }
  }
  if (keys.empty()) {
    return absl::NotFoundError(absl::StrCat("no kernel's key begins with '", key_prefix,
                                            "'; hone records lists them in its last column"));
  }
  if (keys.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat(keys.size(), " kernels' keys begin with '",
                                                   key_prefix, "'; give more of the key"));
  }
  std::string out;
  std::vector<pb::Record> history;
  for (const RecordSummary& summary : summaries) {
    if (summary.key.workload_key != *keys.begin()) continue;
    if (out.empty()) absl::StrAppend(&out, summary.workload, "\n");
    HONE_ASSIGN_OR_RETURN(std::optional<pb::Record> best, store.Best(summary.key));
    HONE_ASSIGN_OR_RETURN(std::vector<pb::Record> records, store.History(summary.key));
    if (best.has_value()) {
      AppendBestSchedule(*best, &out);
      AppendScore(ReproducibilityOf(*best, records, options.now_unix_ms), &out);
    }
    history.insert(history.end(), records.begin(), records.end());
  }
  std::stable_sort(history.begin(), history.end(), Better);
  Table table({{"result"},
               {"time", Align::kRight},
               {"median", Align::kRight},
               {"spread", Align::kRight},
               {"class"},
               {"error", Align::kRight},
               {"predicted", Align::kRight},
               {"origin"},
               {"device"},
               {"when"},
               {"message"}});
  const int64_t shown = std::min<int64_t>(limit, static_cast<int64_t>(history.size()));
  for (int64_t i = 0; i < shown; ++i) {
    const pb::Measurement& measurement = history[i].measurement();
    table.AddRow({FailureName(measurement), FormatNanos(measurement.cost_ns()),
                  IntervalOf(measurement), FormatShare(measurement.spread()), history[i].numerics(),
                  ErrorOf(measurement), FormatNanos(history[i].predicted_ns()), history[i].origin(),
                  measurement.device(), FormatUnixMillis(measurement.unix_ms()),
                  MessageOf(measurement)});
  }
  absl::StrAppend(&out, "\n", table.Render(options.width));
  if (shown < static_cast<int64_t>(history.size())) {
    absl::StrAppend(&out, "and ", history.size() - shown, " more; --limit shows them\n");
  }
  return out;
}

StatusOr<std::string> ImportedReport(const RecordStore& store, const ImportStore& imports,
                                     int width) {
  HONE_ASSIGN_OR_RETURN(const std::vector<ImportedCost> costs, imports.SummarizeImported());
  if (costs.empty()) {
    return std::string("nothing imported yet. Next: hone records import LOG.json\n");
  }
  HONE_ASSIGN_OR_RETURN(const std::vector<RecordSummary> summaries, store.Summarize());
  std::map<std::string, double> own_ns;
  for (const RecordSummary& summary : summaries) {
    if (!summary.best_cost_ns) continue;
    double& best =
        own_ns.try_emplace(summary.key.workload_key, *summary.best_cost_ns).first->second;
    best = std::min(best, *summary.best_cost_ns);
  }
  Table table({{"kernel"},
               {"theirs", Align::kRight},
               {"by"},
               {"on"},
               {"costs", Align::kRight},
               {"hone's", Align::kRight},
               {"when"},
               {"key"}});
  int64_t count = 0;
  for (const ImportedCost& cost : costs) {
    count += cost.costs;
    const auto own = own_ns.find(cost.workload_key);
    table.AddRow({KernelCaption(cost.workload), FormatNanos(cost.cost_ns), cost.format, cost.target,
                  absl::StrCat(cost.costs), own == own_ns.end() ? "-" : FormatNanos(own->second),
                  cost.unix_ms > 0 ? FormatUnixMillis(cost.unix_ms) : "-",
                  cost.workload_key.substr(0, kShortKey)});
  }
  return absl::StrCat(table.Render(width), "\n", count,
                      " costs, measured by others on other machines: shown, and never used\n");
}

}  // namespace hone
