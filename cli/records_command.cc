#include "cli/records_command.h"

#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/default_paths.h"
#include "cli/record_report.h"
#include "db/sqlite_record_store.h"

namespace hone {
namespace {

struct RecordsOptions {
  std::string database = DefaultDatabasePath(std::getenv);
  std::string kernel;
  int64_t limit = 20;
};

StatusOr<ExitCode> Run(const RecordsOptions& options, const Console& console) {
  auto opened = SqliteRecordStore::Open({.path = options.database});
  if (absl::IsNotFound(opened.status())) {
    return absl::NotFoundError(absl::StrCat("no database at ", options.database,
                                            "; hone tune MODEL.onnx makes it, or name another "
                                            "with --db"));
  }
  HONE_ASSIGN_OR_RETURN(auto store, std::move(opened));
  // In a pipe, scripts read the cells: nothing is cut there.
  const int width = console.out_is_tty ? console.width : 0;
  HONE_ASSIGN_OR_RETURN(std::string report,
                        options.kernel.empty()
                            ? RecordOverview(*store, width)
                            : RecordDetails(*store, options.kernel, options.limit, width));
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
          "best schedule for each target, and its measurements, the best first, failures last.",
      .options = {{"--db", "FILE", "the database", &options->database},
                  {"--kernel", "KEY", "the beginning of a key of the list's last column",
                   &options->kernel},
                  {"--limit", "N", "measurements that --kernel shows", &options->limit, false, 0}},
      .examples = {"hone records", "hone records --kernel 3f9a1c20 --limit 100"},
      .next = "hone compile MODEL.onnx -o model.so takes the best of them.",
      .run = [options](const Console& console) { return Run(*options, console); },
  };
}

}  // namespace hone
