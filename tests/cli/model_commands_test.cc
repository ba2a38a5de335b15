// hone run, check and bench on a model of hand-written kernels (tests/package/tiny_model.h).
#include <filesystem>
#include <sstream>

#include "base/file.h"
#include "cli/bench_command.h"
#include "cli/check_command.h"
#include "cli/npy.h"
#include "cli/run_command.h"
#include "compiler/import/tensor_proto.h"
#include "compiler/package/build_package.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/package/tiny_model.h"

namespace hone {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ModelCommands : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/hone_model_commands_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& bytes) {
    const std::string path = folder_ + "/" + name;
    EXPECT_TRUE(WriteFile(path, bytes).ok());
    return path;
  }

  static Tensor Filled(std::vector<int64_t> shape, float value) {
    return Tensor::Floats(shape, std::vector<float>(hone::ElementCount(shape), value));
  }
  std::string ArrayFile() { return Write("x.npy", SerializeNpy(Filled({4, 8}, 1))); }

  Console console() { return {.out = out_, .err = err_}; }

  std::ostringstream out_;
  std::ostringstream err_;
  std::string folder_;
  const TemporaryFile model_file_{"commands.so", TinyModel()};
  const std::string& model_ = model_file_.path();
};

TEST_F(ModelCommands, RunShowsAndWritesTheOutputs) {
  const StatusOr<ExitCode> code = RunModel(
      {.model = model_, .inputs = {"x=" + ArrayFile()}, .output_dir = folder_ + "/out/deep"},
      console());
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_EQ(*code, ExitCode::kOk);
  EXPECT_THAT(out_.str(), HasSubstr("y: f32[4,8], min 12, mean 12, max 12"));
  const StatusOr<std::string> bytes = ReadFile(folder_ + "/out/deep/flat.npy");
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const StatusOr<Tensor> flat = ParseNpy(*bytes, "flat.npy");
  ASSERT_TRUE(flat.ok()) << flat.status();
  EXPECT_EQ(flat->shape, std::vector<int64_t>{32});
  EXPECT_EQ(flat->Get(31), 6);
}

TEST_F(ModelCommands, RunSaysWhatIsWrongWithItsInputs) {
  const auto error = [&](std::vector<std::string> inputs) {
    const Status status =
        RunModel({.model = model_, .inputs = std::move(inputs)}, console()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(error({}), HasSubstr("no --input for 'x'; the model takes 'x' f32[4,8]"));
  EXPECT_THAT(error({ArrayFile(), ArrayFile()}), HasSubstr("one too many"));
  EXPECT_THAT(error({"x=" + ArrayFile(), "x=" + ArrayFile()}), HasSubstr("two files"));
  EXPECT_THAT(error({Write("shape.npy", SerializeNpy(Filled({8, 4}, 1)))}),
              AllOf(HasSubstr("f32[8,4]"), HasSubstr("'x' is f32[4,8]")));
  EXPECT_THAT(error({Write("type.npy", SerializeNpy(Filled({4, 8}, 1).As(DType::kF64)))}),
              HasSubstr("f64[4,8]"));
  EXPECT_THAT(error({Write("x.txt", "hello")}), HasSubstr("not a kind of file hone reads"));
  EXPECT_EQ(
      RunModel({.model = model_, .inputs = {"/nonexistent/x.npy"}}, console()).status().code(),
      absl::StatusCode::kNotFound);
  EXPECT_EQ(ExitCodeOf(RunModel({.model = "/nonexistent/model.so"}, console()).status()),
            ExitCode::kFile);
}

TEST_F(ModelCommands, CheckComparesWithExpectedOutputs) {
  Write("input_0.pb", SerializeTensorProto({"x", Filled({4, 8}, 1)}));
  Write("output_0.pb", SerializeTensorProto({"y", Filled({4, 8}, 12)}));
  Write("output_1.pb", SerializeTensorProto({"flat", Filled({32}, 6)}));
  Write("output_2.pb", SerializeTensorProto({"x", Filled({4, 8}, 1)}));
  StatusOr<ExitCode> code = CheckModel({.model = model_, .data_dir = folder_}, console());
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_EQ(*code, ExitCode::kOk) << out_.str();
  EXPECT_THAT(out_.str(), HasSubstr("within rtol 0.001, atol 1e-05"));

  Tensor wrong = Filled({32}, 6);
  wrong.Set(7, 6.5);
  Write("output_1.pb", SerializeTensorProto({"flat", wrong}));
  out_.str("");
  code = CheckModel({.model = model_, .data_dir = folder_}, console());
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_EQ(*code, ExitCode::kCheckFailed);
  EXPECT_THAT(out_.str(), HasSubstr("FAIL flat: largest error 0.5 absolute"));
  EXPECT_THAT(out_.str(), HasSubstr("1 of 32 values outside, the worst at 7: 6 instead of 6.5"));
  code = CheckModel({.model = model_, .data_dir = folder_, .rtol = 0.1}, console());
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_EQ(*code, ExitCode::kOk);
}

TEST_F(ModelCommands, CheckNamesWhatIsMissing) {
  EXPECT_THAT(
      std::string(
          CheckModel({.model = model_, .data_dir = "/nonexistent"}, console()).status().message()),
      HasSubstr("/nonexistent: no such folder"));
  EXPECT_THAT(
      std::string(CheckModel({.model = model_, .data_dir = folder_}, console()).status().message()),
      HasSubstr("input_0.pb"));
}

TEST_F(ModelCommands, BenchPrintsTimesAndKernels) {
  const SystemClock clock;
  const StatusOr<ExitCode> code = BenchModel(
      {.model = model_, .place = {.threads = 1}, .runs = 7, .profile = true}, clock, console());
  ASSERT_TRUE(code.ok()) << code.status();
  EXPECT_THAT(out_.str(), HasSubstr("(7 runs, 1 thread)"));
  EXPECT_THAT(out_.str(), AllOf(HasSubstr("scale_4x8"), HasSubstr("add_4x8"), HasSubstr("copy")));
}

TEST_F(ModelCommands, RefuseAModelMadeForACpuThatCanMore) {
  Target target = TinyTarget();
  target.features = {"avx1024"};
  const StatusOr<std::string> bytes = BuildPackage(TinyPlan(), TinyArtifacts(), target);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const std::string model = Write("newer.so", *bytes);
  const SystemClock clock;
  for (const Status& status :
       {RunModel({.model = model, .inputs = {ArrayFile()}}, console()).status(),
        CheckModel({.model = model, .data_dir = folder_}, console()).status(),
        BenchModel({.model = model, .place = {.threads = 1}, .runs = 1}, clock, console())
            .status()}) {
    EXPECT_EQ(ExitCodeOf(status), ExitCode::kBadInput);
    EXPECT_THAT(
        std::string(status.message()),
        AllOf(HasSubstr("a CPU with avx1024, which this one lacks"), HasSubstr("hone compile")));
  }
}

}  // namespace
}  // namespace hone
