#include "cli/zoo_command.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "cli/quantity.h"
#include "cli/table.h"
#include "compiler/import/zoo.h"

namespace hone {
namespace {

void ListModels(const Console& console) {
  Table table({{"name"}, {"what it is"}});
  for (const ZooEntry& entry : ZooEntries()) table.AddRow({entry.name, entry.description});
  console.out << table.Render() << "\nNext: hone zoo NAME -o NAME.onnx\n";
}

}  // namespace

StatusOr<ExitCode> WriteZooModel(const ZooOptions& options, const Console& console) {
  if (options.name.empty()) {
    ListModels(console);
    return ExitCode::kOk;
  }
  const std::string path = options.output.empty() ? options.name + ".onnx" : options.output;
  HONE_ASSIGN_OR_RETURN(std::string bytes,
                        ZooModel(options.name, static_cast<uint64_t>(options.seed)));
  HONE_RETURN_IF_ERROR(WriteFile(path, bytes));
  console.out << "wrote " << path << " (" << FormatBytes(static_cast<int64_t>(bytes.size()))
              << "). Next: hone tune " << path << "\n";
  return ExitCode::kOk;
}

Command MakeZooCommand() {
  auto options = std::make_shared<ZooOptions>();
  return {
      .name = "zoo",
      .group = CommandGroup::kTune,
      .summary = "write a well-known model to play with",
      .description =
          "Writes a network with its real architecture and seeded random weights as an ONNX file: "
          "as fast or slow as the trained one, so fit for tuning and measuring, but what it says "
          "of a picture means nothing. Equal names and seeds give equal files.\n\nWithout a NAME, "
          "lists what there is.",
      .options = {{"NAME", "", "of the list", &options->name},
                  {"-o,--output", "FILE", "the ONNX file to write; the default is NAME.onnx",
                   &options->output},
                  {"--seed", "N", "of the weights", &options->seed, false, 0}},
      .examples = {"hone zoo", "hone zoo resnet18 -o resnet18.onnx"},
      .next = "hone tune NAME.onnx",
      .run = [options](const Console& console) { return WriteZooModel(*options, console); },
  };
}

}  // namespace hone
