#include "cli/record_import.h"

#include <algorithm>
#include <fstream>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/digest.h"
#include "base/file.h"
#include "tuner/transfer/foreign_log.h"

namespace hone {
namespace {

constexpr size_t kLineBytesMax = 2 << 20;   // more is read past
constexpr int64_t kLinesAStep = 50'000;     // kept together
constexpr int64_t kQuarantineMax = 10'000;  // bad lines that are written down
constexpr size_t kQuarantineBytes = 4'096;  // of each
constexpr size_t kReasonsMax = 100;

// Lines of a file, with where the next one begins.
class Lines {
 public:
  explicit Lines(const std::string& path) : in_(path, std::ios::binary), buffer_(1 << 20, '\0') {}

  bool ok() const { return in_.is_open(); }
  void GoTo(int64_t bytes) {
    in_.seekg(bytes);
    bytes_ = bytes;
  }
  int64_t bytes() const { return bytes_; }
  // False at the end. `whole`: it ends with a newline. What is too long is cut.
  bool Next(std::string* line, bool* whole) {
    line->clear();
    for (bool any = false;; any = true) {
      if (at_ == end_ && !Fill()) {
        *whole = false;
        return any;
      }
      const auto first = buffer_.begin() + static_cast<int64_t>(at_);
      const auto last = buffer_.begin() + static_cast<int64_t>(end_);
      const auto newline = std::find(first, last, '\n');
      const size_t room = kLineBytesMax - line->size();
      line->append(first, first + std::min<int64_t>(newline - first, static_cast<int64_t>(room)));
      const size_t taken = static_cast<size_t>(newline - first) + (newline == last ? 0 : 1);
      at_ += taken;
      bytes_ += static_cast<int64_t>(taken);
      if (newline != last) {
        *whole = true;
        return true;
      }
    }
  }

 private:
  bool Fill() {
    in_.read(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
    at_ = 0;
    end_ = static_cast<size_t>(in_.gcount());
    return end_ > 0;
  }

  std::ifstream in_;
  std::string buffer_;
  size_t at_ = 0;
  size_t end_ = 0;
  int64_t bytes_ = 0;
};

// The other file of a MetaSchedule pair; none for other logs.
std::vector<std::string> WorkloadsBeside(const std::string& path) {
  const size_t slash = path.rfind('/') + 1;
  const std::string name = path.substr(slash);
  if (!absl::StrContains(name, "tuning_record")) return {};
  const auto text =
      ReadFile(path.substr(0, slash) + absl::StrReplaceAll(name, {{"tuning_record", "workload"}}));
  if (!text.ok()) return {};
  return absl::StrSplit(*text, '\n', absl::SkipEmpty());
}

// What was found since the last step.
class Step {
 public:
  Step(const LogImport& import, ImportStore& store, ImportReport* report)
      : import_(import), store_(store), report_(report) {}

  void Take(const ForeignCost& cost, int64_t line) {
    ++report_->costs;
    ImportedCost& best = costs_[{cost.workload, cost.target}];
    ++best.costs;
    if (best.costs > 1 && best.cost_ns <= cost.cost_ns) return;
    best.format = cost.format;
    best.cost_ns = cost.cost_ns;
    best.line = line;
    best.unix_ms = cost.unix_ms;
  }
  void Take(const ForeignReject& reject, int64_t line, const std::string& text) {
    if (!reject.bad) {
      const bool room =
          report_->left_out.size() < kReasonsMax || report_->left_out.contains(reject.reason);
      ++report_->left_out[room ? reject.reason : "other"];
      return;
    }
    if (++report_->bad > kQuarantineMax) return;
    absl::StrAppend(&rejected_, line, "\t", reject.reason, "\t",
                    absl::string_view(text).substr(0, kQuarantineBytes), "\n");
  }

  // Bad lines first: to have them twice does no harm.
  Status Keep(const ImportProgress& progress) {
    if (!rejected_.empty()) {
      std::ofstream out(import_.rejected_path, std::ios::binary | std::ios::app);
      out << rejected_ << std::flush;
      if (!out) {
        return absl::PermissionDeniedError(absl::StrCat("bad lines cannot be written to ",
                                                        import_.rejected_path,
                                                        "; name another file with "
                                                        "--rejected"));
      }
      rejected_.clear();
    }
    std::vector<ImportedCost> costs;
    for (auto& [key, cost] : costs_) {
      cost.workload = key.first;
      cost.workload_key = Digest(key.first);
      cost.target = key.second;
      costs.push_back(std::move(cost));
    }
    costs_.clear();
    return store_.AddImported(costs, progress);
  }

 private:
  const LogImport& import_;
  ImportStore& store_;
  ImportReport* const report_;
  std::map<std::pair<std::string, std::string>, ImportedCost> costs_;  // by workload and target
  std::string rejected_;
};

}  // namespace

StatusOr<ImportReport> ImportLog(const LogImport& import, ImportStore& store) {
  Lines lines(import.path);
  if (!lines.ok()) {
    return absl::NotFoundError(absl::StrCat("cannot read the log ", import.path));
  }
  ForeignLog log(WorkloadsBeside(import.path));
  ImportReport report;
  std::string line;
  bool whole = false;
  if (!lines.Next(&line, &whole)) return report;
  ImportProgress progress = {.source = Digest(line)};
  HONE_ASSIGN_OR_RETURN(const std::optional<ImportProgress> before,
                        store.FindImport(progress.source));
  if (before) progress = *before;
  report.resumed_at = progress.lines;
  lines = Lines(import.path);
  lines.GoTo(progress.bytes);
  Step step(import, store, &report);
  while (lines.Next(&line, &whole)) {
    if (line.empty()) {
      ++progress.lines;
      progress.bytes = lines.bytes();
      continue;
    }
    const ForeignLine read = log.Read(line);
    const ForeignReject* reject = std::get_if<ForeignReject>(&read);
    // Perhaps it is being written: it is read the next time.
    if (!whole && reject != nullptr && reject->bad) break;
    ++progress.lines;
    ++report.lines;
    progress.bytes = lines.bytes();
    if (reject != nullptr) {
      step.Take(*reject, progress.lines, line);
    } else {
      step.Take(std::get<ForeignCost>(read), progress.lines);
    }
    if (progress.lines % kLinesAStep != 0) continue;
    HONE_RETURN_IF_ERROR(step.Keep(progress));
    if (import.progress) import.progress(progress.lines);
  }
  HONE_RETURN_IF_ERROR(step.Keep(progress));
  return report;
}

std::string Describe(const LogImport& import, const ImportReport& report) {
  std::string text = absl::StrCat(import.path, ": ", report.lines, " lines");
  if (report.resumed_at > 0) {
    absl::StrAppend(&text, " after the ", report.resumed_at, " that were read before");
  }
  absl::StrAppend(&text, ", ", report.costs, " costs taken in\n");
  std::vector<std::pair<int64_t, std::string>> reasons;
  for (const auto& [reason, count] : report.left_out) reasons.emplace_back(-count, reason);
  std::sort(reasons.begin(), reasons.end());
  for (const auto& [count, reason] : reasons) {
    absl::StrAppend(&text, "  left out: ", -count, " of ", reason, "\n");
  }
  if (report.bad > 0) {
    absl::StrAppend(&text, "  bad lines: ", report.bad, ", in ", import.rejected_path, "\n");
  }
  return absl::StrCat(text, "Next: hone records --imported\n");
}

}  // namespace hone
