#include "cli/records_command.h"

#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/numerics.h"
#include "cli/default_paths.h"
#include "cli/numerics_option.h"
#include "cli/record_import.h"
#include "cli/record_report.h"
#include "db/open_records.h"
#include "db/record_package.h"
#include "db/sqlite_record_store.h"

namespace hone {
namespace {

constexpr int64_t kDayMs = 86'400'000;

struct RecordsOptions {
  std::string database = DefaultDatabasePath(std::getenv);
  std::string action;  // "": show
  std::string file;
  std::string kernel;
  int64_t limit = 20;
  std::string numerics;  // "": of every class
  int64_t min_score = 0;
  bool imported = false;
  // Of import and export.
  std::string rejected;
  std::string trusted_key;
  std::string signing_key;
  std::string name = "records";
  int64_t days = 30;
};

StatusOr<std::unique_ptr<SqlStore>> OpenForReading(const std::string& database) {
  auto opened = OpenRecords(database);
  if (!absl::IsNotFound(opened.status())) return opened;
  return absl::NotFoundError(absl::StrCat("no database at ", database,
                                          "; hone tune MODEL.onnx makes it, or name another "
                                          "with --db"));
}

StatusOr<ExitCode> Show(const RecordsOptions& options, const Console& console) {
  // In a pipe, scripts read the cells: nothing is cut there.
  ReportOptions report = {.min_score = options.min_score,
                          .now_unix_ms = SystemClock().UnixMillis(),
                          .width = console.out_is_tty ? console.width : 0};
  if (!options.numerics.empty()) {
    HONE_ASSIGN_OR_RETURN(report.numerics, ParseNumerics(options.numerics));
  }
  HONE_ASSIGN_OR_RETURN(const auto store, OpenForReading(options.database));
  StatusOr<std::string> text = options.imported ? ImportedReport(*store, *store, report.width)
                               : options.kernel.empty()
                                   ? RecordOverview(*store, report)
                                   : RecordDetails(*store, options.kernel, options.limit, report);
  HONE_RETURN_IF_ERROR(text.status());
  console.out << *text;
  return ExitCode::kOk;
}

// What compiling would take: the best record of each key and choice of layouts.
StatusOr<std::vector<pb::Record>> BestRecords(const RecordStore& store,
                                              const std::string& key_prefix) {
  HONE_ASSIGN_OR_RETURN(const std::vector<RecordSummary> summaries, store.Summarize());
  std::vector<pb::Record> records;
  for (const RecordSummary& summary : summaries) {
    if (!absl::StartsWith(summary.key.workload_key, key_prefix)) continue;
    HONE_ASSIGN_OR_RETURN(std::vector<pb::Record> best, store.BestPerLayouts(summary.key));
    for (pb::Record& record : best) records.push_back(std::move(record));
  }
  return records;
}

StatusOr<ExitCode> Export(const RecordsOptions& options, const Console& console) {
  if (options.signing_key.empty()) {
    return absl::InvalidArgumentError(
        "a package of records is signed: --sign KEY, which `openssl genpkey -algorithm ed25519 "
        "-out KEY` makes");
  }
  HONE_ASSIGN_OR_RETURN(const std::string key, ReadFile(options.signing_key));
  HONE_ASSIGN_OR_RETURN(const auto store, OpenForReading(options.database));
  HONE_ASSIGN_OR_RETURN(const std::vector<pb::Record> records, BestRecords(*store, options.kernel));
  if (records.empty()) return absl::NotFoundError("there is no record to export");
  const int64_t now_unix_ms = SystemClock().UnixMillis();
  const PackageTerms terms = {.name = options.name,
                              .version = now_unix_ms / 1000,
                              .made_unix_ms = now_unix_ms,
                              .expires_unix_ms = now_unix_ms + options.days * kDayMs};
  HONE_ASSIGN_OR_RETURN(const std::string bytes, SealRecords(records, terms, key));
  HONE_RETURN_IF_ERROR(WriteFile(options.file, bytes));
  console.out << options.file << ": " << records.size() << " records, package " << terms.name
              << " version " << terms.version << ", good for " << options.days
              << " days\nNext: hone records import " << options.file << " --trust KEY.pub\n";
  return ExitCode::kOk;
}

StatusOr<ExitCode> ImportPackage(const RecordsOptions& options, SqlStore& store,
                                 const Console& console) {
  HONE_ASSIGN_OR_RETURN(const std::string key, ReadFile(options.trusted_key));
  HONE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(options.file));
  HONE_ASSIGN_OR_RETURN(const OpenedPackage package,
                        OpenPackage(bytes, key, SystemClock().UnixMillis(), store));
  // The version first: a break between the two is mended by the same package once more.
  HONE_RETURN_IF_ERROR(
      store.SavePackage(package.public_key, package.manifest.name(), package.taken));
  HONE_RETURN_IF_ERROR(store.Append(package.records));
  console.out << options.file << ": " << package.records.size() << " records of package "
              << package.manifest.name() << " version " << package.manifest.version()
              << "\nNext: hone records\n";
  return ExitCode::kOk;
}

StatusOr<ExitCode> Import(const RecordsOptions& options, const Console& console) {
  HONE_ASSIGN_OR_RETURN(
      const auto store,
      SqliteRecordStore::Open({.path = options.database, .mode = SqliteOpenOptions::Mode::kWrite}));
  if (!options.trusted_key.empty()) return ImportPackage(options, *store, console);
  LogImport import = {
      .path = options.file,
      .rejected_path = options.rejected.empty() ? options.file + ".rejected" : options.rejected};
  if (console.live) {
    import.progress = [&console](int64_t lines) {
      console.err << "\r" << lines << " lines" << std::flush;
    };
  }
  HONE_ASSIGN_OR_RETURN(const ImportReport report, ImportLog(import, *store));
  if (console.live) console.err << "\r";
  console.out << Describe(import, report);
  if (report.lines > 0 && report.bad == report.lines) {
    return absl::InvalidArgumentError(
        absl::StrCat(options.file,
                     " has no record of AutoTVM, Ansor or MetaSchedule; a package of `hone "
                     "records export` is imported with --trust KEY.pub"));
  }
  return ExitCode::kOk;
}

StatusOr<ExitCode> Run(const RecordsOptions& options, const Console& console) {
  if (options.action.empty()) return Show(options, console);
  if (options.action != "import" && options.action != "export") {
    return absl::InvalidArgumentError(absl::StrCat(
        "hone records does not know how to ", options.action, "; it can import and export FILE"));
  }
  if (options.file.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("hone records ", options.action, " wants a FILE"));
  }
  return options.action == "export" ? Export(options, console) : Import(options, console);
}

}  // namespace

Command MakeRecordsCommand() {
  auto options = std::make_shared<RecordsOptions>();
  return {
      .name = "records",
      .group = CommandGroup::kFarm,
      .summary = "show what the database knows, hand records on, read others' logs",
      .description =
          "Lists every kernel that was ever measured, with the best time known, its GFLOP/s, what "
          "share that is of the machine's multiply-add peak measured beside it, and from 0 to 100 "
          "how far the time can be expected again. Reads only, also while hone tune "
          "writes.\n\n"
          "With --kernel, shows one kernel: what it computes, its "
          "best schedule for each target and numerics class, and its measurements, the best first, "
          "failures last. An error is the rms error against float64, over that of sequential fp32 "
          "on the same inputs. --numerics shows one class only, --min-score N kernels of that "
          "score.\n\n"
          "export FILE --sign KEY: writes the best records into a signed package that expires. "
          "import FILE --trust KEY.pub: takes one in, unless another key signed it, or it is "
          "older than one taken in before, expired, or put together from several.\n\n"
          "import FILE: reads times out of a log of AutoTVM, Ansor or MetaSchedule, and goes on "
          "where it was broken off. --imported shows them beside hone's own; they are never used "
          "as records.",
      .options = {{"ACTION", "", "import or export", &options->action},
                  {"FILE", "", "of them", &options->file},
                  {"--db", "FILE", "the database: a file, or postgresql://USER@HOST/NAME",
                   &options->database},
                  {"--kernel", "KEY", "the beginning of a key of the list's last column",
                   &options->kernel},
                  NumericsOption(&options->numerics),
                  {"--limit", "N", "measurements that --kernel shows", &options->limit, false, 0},
                  {"--min-score", "N", "show kernels whose best record scores so much",
                   &options->min_score, false, 0},
                  {"--imported", "", "show times of others' logs", &options->imported},
                  {"--rejected", "FILE",
                   "where bad lines of a log go; the default is the log's name and .rejected",
                   &options->rejected},
                  {"--trust", "KEY", "whose packages to take: a public Ed25519 key",
                   &options->trusted_key},
                  {"--sign", "KEY", "the private Ed25519 key of a package", &options->signing_key},
                  {"--name", "NAME", "of a package: each replaces the one before of its name",
                   &options->name},
                  {"--days", "N", "how long a package is good", &options->days, false, 1}},
      .examples = {"hone records", "hone records --kernel 3f9a1c20 --limit 100",
                   "hone records import tophub/llvm_v0.04.log",
                   "hone records export best.records --sign key.pem",
                   "hone records import best.records --trust key.pub"},
      .next = "hone compile MODEL.onnx -o model.so takes the best of them.",
      .run = [options](const Console& console) { return Run(*options, console); },
  };
}

}  // namespace hone
