#include "cli/records_command.h"

#include <cstdlib>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/numerics.h"
#include "cli/default_paths.h"
#include "cli/numerics_option.h"
#include "cli/record_report.h"
#include "db/open_records.h"

namespace hone {
namespace {

struct RecordsOptions {
  std::string database = DefaultDatabasePath(std::getenv);
  std::string kernel;
  int64_t limit = 20;
  std::string numerics;  // "": of every class
};

StatusOr<ExitCode> Run(const RecordsOptions& options, const Console& console) {
  std::optional<Numerics> numerics;
  if (!options.numerics.empty()) {
    HONE_ASSIGN_OR_RETURN(numerics, ParseNumerics(options.numerics));
  }
  auto opened = OpenRecords(options.database);
  if (absl::IsNotFound(opened.status())) {
    return absl::NotFoundError(absl::StrCat("no database at ", options.database,
                                            "; hone tune MODEL.onnx makes it, or name another "
                                            "with --db"));
  }
  HONE_ASSIGN_OR_RETURN(auto store, std::move(opened));
  // In a pipe, scripts read the cells: nothing is cut there.
  const int width = console.out_is_tty ? console.width : 0;
  HONE_ASSIGN_OR_RETURN(std::string report, options.kernel.empty()
                                                ? RecordOverview(*store, numerics, width)
                                                : RecordDetails(*store, options.kernel, numerics,
                                                                options.limit, width));
  console.out << report;
  return ExitCode::kOk;
}

}  // namespace

Command MakeRecordsCommand() {
  auto options = std::make_shared<RecordsOptions>();
  return {
      .name = "records",
      .group = CommandGroup::kFarm,
      .summary = "show what the database knows",
      .description =
          "Lists every kernel that was ever measured, with the best time known, its GFLOP/s, and "
          "what share that is of the machine's multiply-add peak measured beside it. Reads only, "
          "also while hone tune writes.\n\nWith --kernel, shows one kernel: what it computes, its "
          "best schedule for each target and numerics class, and its measurements, the best first, "
          "failures last. An error is the rms error against float64, over that of sequential fp32 "
          "on the same inputs. --numerics shows one class only.",
      .options = {{"--db", "FILE", "the database: a file, or postgresql://USER@HOST/NAME",
                   &options->database},
                  {"--kernel", "KEY", "the beginning of a key of the list's last column",
                   &options->kernel},
                  NumericsOption(&options->numerics),
                  {"--limit", "N", "measurements that --kernel shows", &options->limit, false, 0}},
      .examples = {"hone records", "hone records --kernel 3f9a1c20 --limit 100"},
      .next = "hone compile MODEL.onnx -o model.so takes the best of them.",
      .run = [options](const Console& console) { return Run(*options, console); },
  };
}

}  // namespace hone
