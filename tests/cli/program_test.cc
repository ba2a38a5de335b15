// `hone` from outside: bad input gets one clear line, what to do about it, and an exit code from
// the manual.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "db/sqlite_record_store.h"
#include "onnx/onnx_pb.h"
#include "runtime/cpu_features.h"
#include "tests/support/terminal.h"

namespace hone {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ProgramTest : public testing::Test, protected Terminal {
 protected:
  // Expects exactly one line "hone: error: ..." that holds `what`, and nothing on stdout.
  void ExpectRefused(const std::string& line, ExitCode code, const std::string& what) {
    Outcome outcome = Shell(line);
    EXPECT_EQ(outcome.exit_code, static_cast<int>(code)) << line << "\n" << outcome.err;
    EXPECT_THAT(outcome.err, StartsWith("hone: error: ")) << line;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << line << "\n" << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(what)) << line;
    EXPECT_EQ(outcome.out, "") << line;
  }

  // Writes tiny.onnx; returns its bytes.
  std::string TinyModel() {
    const Outcome outcome = Shell("hone zoo tiny");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return Read("tiny.onnx");
  }
  // Makes an empty database.
  void MakeDatabase(const std::string& name) {
    const auto store =
        SqliteRecordStore::Open({.path = Path(name), .mode = SqliteOpenOptions::Mode::kWrite});
    EXPECT_TRUE(store.ok()) << store.status();
  }
  // An array of zeros in NumPy's format.
  static std::string Npy(const std::string& dtype, const std::string& shape, size_t size_bytes) {
    std::string header =
        absl::StrCat("{'descr': '", dtype, "', 'fortran_order': False, 'shape': (", shape, "), }");
    header.resize(117, ' ');  // with what stands around it 128 bytes
    return absl::StrCat(absl::string_view("\x93NUMPY\x01\0\x76\0", 10), header, "\n",
                        std::string(size_bytes, '\0'));
  }
};

TEST_F(ProgramTest, RefusesANumericsClassThatThereIsNot) {
  for (const char* command : {"tune m.onnx", "compile m.onnx", "records"}) {
    ExpectRefused(absl::StrCat("hone ", command, " --numerics fp23"), ExitCode::kBadInput,
                  "no numerics class 'fp23'; the classes are strict, fp32, fast, bf16, int8");
  }
}

TEST_F(ProgramTest, RefusesANumericsClassThatTheMachineLacks) {
  const hone_cpu cpu = hone_cpu_read();
  char missing[64];
  if (hone_cpu_missing(&cpu, "amx-bf16", missing, sizeof(missing)) == 0 ||
      hone_cpu_missing(&cpu, "avx512bf16", missing, sizeof(missing)) == 0) {
    GTEST_SKIP() << "this machine multiplies bf16";
  }
  // Whether for want of a feature or of a rule: at once, and with what can be had.
  for (const char* command : {"tune m.onnx", "compile m.onnx"}) {
    ExpectRefused(absl::StrCat("hone ", command, " --numerics bf16"), ExitCode::kBadInput,
                  "numerics bf16");
    ExpectRefused(absl::StrCat("hone ", command, " --numerics bf16"), ExitCode::kBadInput,
                  "strict, fp32, fast, int8");
  }
}

TEST_F(ProgramTest, TeachesInItsHelp) {
  Outcome outcome = Shell("hone --help");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  for (const Command& command : AllCommands()) {
    EXPECT_THAT(outcome.out, HasSubstr(absl::StrCat("\n  ", command.name, " ")));
  }
}

TEST_F(ProgramTest, EachCommandTeachesInItsHelp) {
  for (const Command& command : AllCommands()) {
    SCOPED_TRACE(command.name);
    Outcome outcome = Shell(absl::StrCat("hone ", command.name, " --help"));
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.out, HasSubstr("Usage: hone "));
    EXPECT_THAT(outcome.out, HasSubstr("\nExample"));
    EXPECT_THAT(outcome.out, HasSubstr("\nNext: "));
    for (absl::string_view line : absl::StrSplit(outcome.out, '\n')) {
      EXPECT_LE(line.size(), 80u) << line;
    }
  }
}

TEST_F(ProgramTest, RefusesWhatIsNoCommand) {
  ExpectRefused("hone polish", ExitCode::kBadInput, "no command 'polish'");
  ExpectRefused("hone records --depth 3", ExitCode::kBadInput, "--depth");
}

TEST_F(ProgramTest, WritesTheSameZooModelTwice) {
  Outcome outcome = Shell("hone zoo tiny && hone zoo tiny -o again.onnx");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Next: hone tune tiny.onnx"));
  EXPECT_EQ(Read("tiny.onnx"), Read("again.onnx"));
  EXPECT_GT(Read("tiny.onnx").size(), 80u * 1024);
}

TEST_F(ProgramTest, RefusesAModelThatIsNotInTheZoo) {
  ExpectRefused("hone zoo resnet19", ExitCode::kBadInput, "resnet18");
  ExpectRefused("hone zoo tiny -o /nowhere/x.onnx", ExitCode::kFile, "/nowhere/x.onnx");
  ExpectRefused("hone zoo tiny -o /dev/full", ExitCode::kFile, "/dev/full");
}

TEST_F(ProgramTest, RefusesWhatIsNoCompiledModel) {
  ExpectRefused("hone bench absent.so", ExitCode::kFile, "absent.so");
  Write("text.so", "hello");
  ExpectRefused("hone bench text.so", ExitCode::kFile, "text.so");
  ExpectRefused("hone check text.so --data .", ExitCode::kFile, "text.so");
}

TEST_F(ProgramTest, RefusesWhatIsNoModel) {
  const std::string tiny = TinyModel();
  Write("text.onnx", "hello");
  Write("empty.onnx", "");
  Write("half.onnx", tiny.substr(0, tiny.size() / 2));
  for (const std::string command : {"hone tune ", "hone compile -o x.so "}) {
    ExpectRefused(command + "absent.onnx", ExitCode::kFile, "absent.onnx: cannot read");
    ExpectRefused(command + ".", ExitCode::kFile, "a folder; expected a file");
    ExpectRefused(command + "text.onnx", ExitCode::kBadInput, "text.onnx: not an ONNX file");
    ExpectRefused(command + "empty.onnx", ExitCode::kBadInput, "empty.onnx: the file is empty");
    ExpectRefused(command + "half.onnx", ExitCode::kFile, "half.onnx: the file begins as an ONNX");
  }
  EXPECT_FALSE(Exists("x.so"));
  EXPECT_FALSE(Exists("records.db"));
}

TEST_F(ProgramTest, NamesTheNodeOfAnUnknownOperator) {
  std::string model = TinyModel();
  const size_t name = model.find(
      "\"\x04"
      "Conv");  // op_type, of length 4
  ASSERT_NE(name, std::string::npos);
  model.replace(name + 2, 4, "Kurv");
  Write("kurv.onnx", model);
  ExpectRefused("hone tune kurv.onnx", ExitCode::kBadInput, "node 'conv1' (Kurv, opset 13)");
  ExpectRefused("hone compile kurv.onnx -o x.so", ExitCode::kBadInput, "node 'conv1' (Kurv");
}

TEST_F(ProgramTest, NamesAnOpsetThatIsTooNew) {
  std::string model = TinyModel();
  ASSERT_EQ(model.back(), 13);  // the opset's version is what the file ends with
  model.back() = 99;
  Write("new.onnx", model);
  ExpectRefused("hone tune new.onnx", ExitCode::kBadInput, "the model uses opset 99");
}

TEST_F(ProgramTest, AsksForTheSizeOfADynamicDimension) {
  const char* shared = std::getenv("HONE_SHARED_DIR");
  const std::string folder = shared != nullptr && *shared != '\0'
                                 ? shared
                                 : absl::StrCat(std::getenv("HONE_SOURCE_DIR"), "/../shared");
  const std::string model = folder + "/models/onnx/super_resolution_10.onnx";
  if (!std::filesystem::exists(model)) GTEST_SKIP() << model << " is absent";
  ExpectRefused(absl::StrCat("hone tune '", model, "'"), ExitCode::kBadInput,
                "--shape batch_size=VALUE");
  ExpectRefused(absl::StrCat("hone compile -o x.so '", model, "' --shape batch=1"),
                ExitCode::kBadInput, "batch");
}

// x [batch,8] times a matrix, and what is positive of it.
std::string ModelOfAnyBatch() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(13);
  onnx::GraphProto& graph = *model.mutable_graph();
  const auto describe = [](onnx::ValueInfoProto& info, const char* name, int64_t columns) {
    info.set_name(name);
    auto& type = *info.mutable_type()->mutable_tensor_type();
    type.set_elem_type(onnx::TensorProto::FLOAT);
    type.mutable_shape()->add_dim()->set_dim_param("batch");
    type.mutable_shape()->add_dim()->set_dim_value(columns);
  };
  describe(*graph.add_input(), "x", 8);
  describe(*graph.add_output(), "y", 20);
  onnx::TensorProto& weights = *graph.add_initializer();
  weights.set_name("w");
  weights.set_data_type(onnx::TensorProto::FLOAT);
  weights.add_dims(8);
  weights.add_dims(20);
  for (int i = 0; i < 160; ++i) weights.add_float_data(static_cast<float>(i % 7) - 3);
  const auto add_node = [&](const char* op, const std::vector<std::string>& inputs,
                            const char* output) {
    onnx::NodeProto& node = *graph.add_node();
    node.set_op_type(op);
    for (const std::string& input : inputs) node.add_input(input);
    node.add_output(output);
  };
  add_node("MatMul", {"x", "w"}, "product");
  add_node("Relu", {"product"}, "y");
  return model.SerializeAsString();
}

TEST_F(ProgramTest, LeavesADimensionOpenUntilTheModelRuns) {
  Write("any.onnx", ModelOfAnyBatch());
  Outcome outcome = Shell("hone compile any.onnx --shape batch=0..5");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "") << "the default schedules fit the open kernels";
  for (int batch = 1; batch <= 5; ++batch) {
    outcome = Shell(absl::StrCat("hone check any.so --against any.onnx --shape batch=", batch));
    EXPECT_EQ(outcome.exit_code, 0) << batch << outcome.out << outcome.err;
  }
  for (int batch : {0, 3}) {
    Write("x.npy", Npy("<f4", absl::StrCat(batch, ", 8"), static_cast<size_t>(batch) * 32));
    outcome = Shell("hone run any.so --input x.npy");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr(absl::StrCat("y: f32[", batch, ",20]")));
  }
  Write("x.npy", Npy("<f4", "6, 8", 6 * 32));
  ExpectRefused("hone run any.so --input x.npy", ExitCode::kBadInput, "'x' has the shape [0..5,8]");
  EXPECT_EQ(Shell("hone bench any.so --runs 3").exit_code, 0);
}

TEST_F(ProgramTest, RefusesInputsOfAnotherShapeOrType) {
  Outcome outcome = Shell("hone zoo tiny && hone tune tiny.onnx --trials 1 --db none/x.db");
  EXPECT_EQ(outcome.exit_code, static_cast<int>(ExitCode::kFile)) << outcome.err;
  MakeDatabase("records.db");
  outcome = Shell("hone compile tiny.onnx -o tiny.so");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  Write("good.npy", Npy("<f4", "1, 3, 32, 32", 3 * 32 * 32 * 4));
  Write("small.npy", Npy("<f4", "1, 3, 16, 16", 3 * 16 * 16 * 4));
  Write("double.npy", Npy("<f8", "1, 3, 32, 32", 3 * 32 * 32 * 8));
  Write("short.npy", Npy("<f4", "1, 3, 32, 32", 99));
  Write("junk.png", "junk");
  const std::string run = "hone run tiny.so --output out";
  const std::string wants = "'input' is f32[1,3,32,32]";
  ExpectRefused(run, ExitCode::kBadInput, "no --input for 'input'");
  ExpectRefused(run + " --input absent.npy", ExitCode::kFile, "absent.npy: cannot read");
  ExpectRefused(run + " --input small.npy", ExitCode::kBadInput, wants);
  ExpectRefused(run + " --input double.npy", ExitCode::kBadInput, wants);
  ExpectRefused(run + " --input short.npy", ExitCode::kBadInput, "short.npy: truncated");
  ExpectRefused(run + " --input junk.png", ExitCode::kBadInput, "junk.png: not a readable");
  ExpectRefused("hone run tiny.so --input good.npy --output tiny.onnx", ExitCode::kFile,
                "cannot make this folder");
  Write("half.so", Read("tiny.so").substr(0, 3000));
  ExpectRefused("hone run half.so --input good.npy --output out", ExitCode::kFile, "damaged");
  EXPECT_FALSE(Exists("out"));
  EXPECT_EQ(Shell(run + " --input good.npy").exit_code, 0);
}

TEST_F(ProgramTest, SaysWhereATemplateIsWrong) {
  TinyModel();
  Write("hole.sketch", "sketch/1 mine\nhole a on 3\nschedule/1\n");
  Write("other.sketch", "hello\n");
  Write("tiles.sketch", "sketch/1 mine\nschedule/1\nwinograd y h 2\n");
  const std::string tune = "hone tune tiny.onnx --template ";
  ExpectRefused(tune + "hole.sketch", ExitCode::kBadInput, "hole.sketch:2:8: ");
  ExpectRefused(tune + "other.sketch", ExitCode::kBadInput, "other.sketch:1:1: ");
  ExpectRefused(tune + "tiles.sketch --numerics strict", ExitCode::kBadInput,
                "step 1 (winograd y h 2): numerics strict allows");
  ExpectRefused(tune + "absent.sketch", ExitCode::kFile, "absent.sketch: cannot read");
  EXPECT_FALSE(Exists("records.db"));
}

TEST_F(ProgramTest, LeavesADatabaseAloneThatItCannotUse) {
  TinyModel();
  const std::string commands[] = {"hone tune tiny.onnx --db ",
                                  "hone compile tiny.onnx -o x.so --db ", "hone records --db "};
  MakeDatabase("newer.db");
  std::string bytes = Read("newer.db");
  ASSERT_GT(bytes.size(), 8192u);
  bytes.replace(60, 4, std::string("\0\0\0\x63", 4));  // where SQLite keeps user_version
  Write("newer.db", bytes);
  Write("corrupt.db", Read("newer.db").substr(0, 8192));
  Write("junk.db", std::string(8192, 'x'));
  std::filesystem::create_directory(Path("folder.db"));
  for (const std::string& command : commands) {
    ExpectRefused(command + "newer.db", ExitCode::kFile, "written by a newer hone");
    EXPECT_EQ(Read("newer.db"), bytes);
    ExpectRefused(command + "corrupt.db", ExitCode::kFile, "it was left as it is");
    EXPECT_EQ(Read("corrupt.db"), bytes.substr(0, 8192));
    ExpectRefused(command + "junk.db", ExitCode::kFile, "is not a hone database");
    EXPECT_EQ(Read("junk.db"), std::string(8192, 'x'));
    ExpectRefused(command + "folder.db", ExitCode::kFile, "folder.db is a directory");
    ExpectRefused(command + "nowhere/x.db", ExitCode::kFile, "nowhere/x.db");
  }
}

TEST_F(ProgramTest, SaysBeforeTuningThatAReportCannotBeWritten) {
  TinyModel();
  ExpectRefused("hone tune tiny.onnx --report absent/report.html", ExitCode::kFile,
                "absent/report.html: the report cannot be written there: No such file");
  ExpectRefused("hone tune tiny.onnx --report .", ExitCode::kFile, ".: a folder; --report expects");
  EXPECT_FALSE(Exists("records.db")) << "nothing was begun";
}

TEST_F(ProgramTest, TunesNothingIntoAReadOnlyDatabase) {
  if (Shell("unshare -rm true").exit_code != 0) GTEST_SKIP() << "no mount namespaces here";
  TinyModel();
  std::filesystem::create_directory(Path("frozen"));
  MakeDatabase("frozen/records.db");
  const std::string bytes = Read("frozen/records.db");
  const std::string frozen =
      "unshare -rm sh -c 'mount --bind frozen frozen && mount -o remount,ro,bind frozen && $0 $@' ";
  ExpectRefused(frozen + "hone tune tiny.onnx --db frozen/records.db", ExitCode::kFile,
                "cannot write database frozen/records.db");
  EXPECT_EQ(Read("frozen/records.db"), bytes);
  EXPECT_EQ(Shell(frozen + "hone records --db frozen/records.db").exit_code, 0);
}

TEST_F(ProgramTest, NamesTheProcessThatHoldsTheDatabase) {
  TinyModel();
  const auto store = SqliteRecordStore::Open({.path = Path("records.db"),
                                              .mode = SqliteOpenOptions::Mode::kWrite,
                                              .holder = "process 4711 (hone tune other.onnx)"});
  ASSERT_TRUE(store.ok()) << store.status();
  ExpectRefused("hone tune tiny.onnx", ExitCode::kFile,
                "in use by process 4711 (hone tune other.onnx)");
  EXPECT_EQ(Shell("hone records").exit_code, 0);
}

TEST_F(ProgramTest, SaysThatThereIsNoDatabaseYet) {
  ExpectRefused("hone records", ExitCode::kFile, "hone tune MODEL.onnx makes it");
}

TEST_F(ProgramTest, RefusesWhatIsNoDatabase) {
  Write("records.db", std::string(8192, 'x'));
  ExpectRefused("hone records", ExitCode::kFile, "records.db");
  EXPECT_EQ(Read("records.db"), std::string(8192, 'x'));
}

TEST_F(ProgramTest, SaysThatNoTrackerAnswers) {
  ExpectRefused("hone devices --tracker unix:/nowhere/socket", ExitCode::kUnreachable,
                "unix:/nowhere/socket");
  ExpectRefused("hone devices", ExitCode::kBadInput, "--tracker ADDRESS");
  TinyModel();
  ExpectRefused("hone tune tiny.onnx --tracker unix:/nowhere/socket", ExitCode::kUnreachable,
                "leave out --tracker to use this machine");
  ExpectRefused("hone tune tiny.onnx --tracker somewhere", ExitCode::kBadInput, "'somewhere'");
  ExpectRefused("hone devices --tracker farm.example.com:7710 --tls-dir nowhere", ExitCode::kFile,
                "between machines a farm wants certificates, and there is no nowhere/ca.pem");
}

TEST_F(ProgramTest, ListsTheDevicesOfATracker) {
  Outcome outcome = Shell(
      "hone-tracker --listen unix:$PWD/socket --db farm.db >tracker.txt 2>&1 & tracker=$!; "
      "for attempt in $(seq 100); do grep -q ready tracker.txt && break; sleep 0.05; done; "
      "hone devices --tracker unix:$PWD/socket; code=$?; "
      "hone doctor --tracker unix:$PWD/socket | grep '^warn  devices '; "
      "kill $tracker; wait $tracker; exit $code");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err << Read("tracker.txt");
  EXPECT_THAT(outcome.out, HasSubstr("no devices."));
  EXPECT_THAT(outcome.out, HasSubstr("0 devices"));
}

TEST_F(ProgramTest, NoticesAFullDisk) {
  Outcome outcome = Shell("hone --help && hone doctor >/dev/full");
  EXPECT_EQ(outcome.exit_code, static_cast<int>(ExitCode::kFile));
  EXPECT_THAT(outcome.err, HasSubstr("could not write the output"));
}

// What the help, the manual and the header say of exit codes is the same.
TEST(ManualTest, ListsEveryExitCode) {
  std::ifstream in(absl::StrCat(std::getenv("HONE_SOURCE_DIR"), "/docs/manual.md"));
  std::ostringstream manual;
  manual << in.rdbuf();
  for (ExitCode code : {ExitCode::kOk, ExitCode::kCheckFailed, ExitCode::kBadInput, ExitCode::kFile,
                        ExitCode::kUnreachable, ExitCode::kInternal, ExitCode::kInterrupted}) {
    EXPECT_THAT(manual.str(), HasSubstr(absl::StrCat("| ", static_cast<int>(code), " | ",
                                                     ExitCodeMeaning(code), " |")));
  }
}

TEST(ManualTest, NamesEveryCommand) {
  std::ifstream in(absl::StrCat(std::getenv("HONE_SOURCE_DIR"), "/docs/manual.md"));
  std::ostringstream manual;
  manual << in.rdbuf();
  for (const Command& command : AllCommands()) {
    EXPECT_THAT(manual.str(), HasSubstr(absl::StrCat("| `hone ", command.name)));
  }
}

}  // namespace
}  // namespace hone
