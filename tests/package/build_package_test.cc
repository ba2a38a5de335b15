#include "compiler/package/build_package.h"

#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/cpu_features.h"
#include "runtime/hone.h"
#include "runtime/model_format.h"
#include "tests/package/tiny_model.h"

namespace hone {
namespace {

using ::testing::HasSubstr;

std::vector<float> Ramp() {
  std::vector<float> x(32);
  for (int i = 0; i < 32; ++i) x[i] = static_cast<float>(i);
  return x;
}

// A model that is freed at the end of the test.
class Model {
 public:
  explicit Model(const std::string& path, hone_model_options options = {})
      : model_(hone_model_load(path.c_str(), &options, &error_)) {}
  explicit Model(hone_model* model) : model_(model) {}
  ~Model() { hone_model_free(model_); }
  hone_model* get() const { return model_; }
  std::string error() const { return error_.message; }

 private:
  hone_error error_ = {};
  hone_model* model_;
};

void ExpectRight(hone_model* model) {
  const std::vector<float> x = Ramp();
  hone_error error = {};
  ASSERT_EQ(hone_model_set_input(model, 0, x.data(), 128, &error), HONE_OK) << error.message;
  ASSERT_EQ(hone_model_run(model, &error), HONE_OK) << error.message;
  const auto* y = static_cast<const float*>(hone_model_output(model, 0));
  std::vector<float> flat(32), same(32);
  ASSERT_EQ(hone_model_get_output(model, 1, flat.data(), 128, &error), HONE_OK) << error.message;
  ASSERT_EQ(hone_model_get_output(model, 2, same.data(), 128, &error), HONE_OK) << error.message;
  for (int i = 0; i < 32; ++i) {
    ASSERT_EQ(y[i], 12.0f * i);
    ASSERT_EQ(flat[i], 6.0f * i);
    ASSERT_EQ(same[i], 1.0f * i);
  }
}

TEST(BuildPackage, MakesAModelThatRuns) {
  const TemporaryFile file("runs.so", TinyModel());
  for (const int threads : {0, 1, 3}) {
    const Model model(file.path(), {.threads = threads});
    ASSERT_NE(model.get(), nullptr) << model.error();
    ExpectRight(model.get());
  }
}

TEST(BuildPackage, MakesASharedObjectForTheSystemsLoader) {
  const TemporaryFile file("dlopen.so", TinyModel());
  void* library = dlopen(file.path().c_str(), RTLD_NOW);
  ASSERT_NE(library, nullptr) << dlerror();
  const void* symbol = dlsym(library, HONE_MODEL_SYMBOL);
  ASSERT_NE(symbol, nullptr);
  {
    hone_error error = {};
    const Model model(hone_model_load_symbol(symbol, nullptr, &error));
    ASSERT_NE(model.get(), nullptr) << error.message;
    ExpectRight(model.get());
  }
  dlclose(library);
}

TEST(BuildPackage, MakesAModelThatRunsFromItsBytes) {
  const std::string bytes = TinyModel();
  void* aligned = nullptr;
  ASSERT_EQ(posix_memalign(&aligned, 64, bytes.size()), 0);
  std::memcpy(aligned, bytes.data(), bytes.size());
  {
    hone_error error = {};
    const Model model(hone_model_load_bytes(aligned, bytes.size(), nullptr, &error));
    ASSERT_NE(model.get(), nullptr) << error.message;
    ExpectRight(model.get());
    EXPECT_EQ(hone_model_load_bytes(aligned, bytes.size() / 2, nullptr, &error), nullptr);
    EXPECT_EQ(error.code, HONE_ERROR_MALFORMED);
  }
  std::free(aligned);
}

TEST(BuildPackage, IsDescribedWhereItCannotRun) {
  Target other = TinyTarget();
  other.arch = other.arch == "aarch64" ? "x86_64" : "aarch64";
  const TemporaryFile file("other.so", TinyModelFor(other));
  const Model model(file.path(), {.describe = 1});
  ASSERT_NE(model.get(), nullptr) << model.error();
  EXPECT_EQ(std::string(hone_model_target(model.get())), other.ToString());
  EXPECT_EQ(std::string(hone_model_cpu_features(model.get())), "");
  EXPECT_EQ(hone_model_threads(model.get()), 2);
  EXPECT_GE(hone_model_step_count(model.get()), 4);
  hone_tensor_info info = {};
  ASSERT_EQ(hone_model_output_info(model.get(), 1, &info, nullptr), HONE_OK);
  EXPECT_EQ(info.bytes, 128);
  const std::vector<float> x = Ramp();
  std::vector<float> y(32);
  hone_error error = {};
  EXPECT_EQ(hone_model_set_input(model.get(), 0, x.data(), 128, &error), HONE_ERROR_ARGUMENT);
  EXPECT_EQ(hone_model_run(model.get(), &error), HONE_ERROR_ARGUMENT);
  EXPECT_THAT(error.message, HasSubstr("to be described"));
  EXPECT_EQ(hone_model_get_output(model.get(), 0, y.data(), 128, &error), HONE_ERROR_ARGUMENT);
}

// What the manual shows: an application in C, linked with model.so and the runtime library.
TEST(BuildPackage, MakesASharedObjectThatLinks) {
  const char* link = std::getenv("HONE_LINK_C");  // compiler, flags and libraries: "cc %s"
  if (link == nullptr) GTEST_SKIP() << "HONE_LINK_C is not set";
  const TemporaryFile model("libtiny.so", TinyModel());
  const TemporaryFile source("main.c",
                             "#include \"runtime/hone.h\"\n"
                             "extern const char hone_model_v1[];\n"
                             "int main(void) {\n"
                             "  float x[32] = {[5] = 1};\n"
                             "  hone_error error;\n"
                             "  hone_model* model =\n"
                             "      hone_model_load_symbol(hone_model_v1, 0, &error);\n"
                             "  if (!model) return 2;\n"
                             "  hone_model_set_input(model, 0, x, sizeof(x), &error);\n"
                             "  hone_model_run(model, &error);\n"
                             "  const float* y = hone_model_output(model, 0);\n"
                             "  int result = y[5] == 12 ? 0 : 1;\n"
                             "  hone_model_free(model);\n"
                             "  return result;\n"
                             "}\n");
  const std::string program = source.path() + ".out";
  std::string command = link;
  const size_t at = command.find("%s");
  ASSERT_NE(at, std::string::npos) << command;
  command.replace(at, 2, source.path() + " -o " + program + " " + model.path());
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
  EXPECT_EQ(std::system(program.c_str()), 0);
  std::remove(program.c_str());
}

TEST(BuildPackage, GivesTheSameBytesEachTime) { EXPECT_EQ(TinyModel(), TinyModel()); }

TEST(BuildPackage, DescribesTheModel) {
  const Model model(TemporaryFile("describes.so", TinyModel()).path(), {.profile = 1});
  ASSERT_NE(model.get(), nullptr) << model.error();
  EXPECT_STREQ(hone_model_name(model.get()), "tiny");
  EXPECT_EQ(hone_model_target(model.get()), TinyTarget().ToString());
  ASSERT_EQ(hone_model_input_count(model.get()), 1);
  ASSERT_EQ(hone_model_output_count(model.get()), 3);
  hone_tensor_info info = {};
  ASSERT_EQ(hone_model_input_info(model.get(), 0, &info, nullptr), HONE_OK);
  EXPECT_STREQ(info.name, "x");
  EXPECT_STREQ(info.dtype, "f32");
  ASSERT_EQ(info.rank, 2);
  EXPECT_EQ(info.shape[0], 4);
  EXPECT_EQ(info.shape[1], 8);
  EXPECT_EQ(info.bytes, 128);
  ASSERT_EQ(hone_model_output_info(model.get(), 1, &info, nullptr), HONE_OK);
  EXPECT_STREQ(info.name, "flat");
  EXPECT_EQ(info.rank, 1);

  ExpectRight(model.get());
  ASSERT_EQ(hone_model_step_count(model.get()), 5);
  hone_step_info step = {};
  ASSERT_EQ(hone_model_step(model.get(), 1, &step, nullptr), HONE_OK);
  EXPECT_STREQ(step.node, "second");
  EXPECT_STREQ(step.kernel, "scale_4x8");
  EXPECT_GT(step.flop_count, 0);
  EXPECT_GT(step.last_ns, 0);
  ASSERT_EQ(hone_model_step(model.get(), 4, &step, nullptr), HONE_OK);
  EXPECT_STREQ(step.kernel, "copy");
}

TEST(BuildPackage, ReadsBorrowedInputs) {
  const Model model(TemporaryFile("borrows.so", TinyModel()).path());
  ASSERT_NE(model.get(), nullptr) << model.error();
  alignas(64) float x[33] = {};
  x[5] = 1;
  hone_error error = {};
  ASSERT_EQ(hone_model_borrow_input(model.get(), 0, x, 128, &error), HONE_OK) << error.message;
  ASSERT_EQ(hone_model_run(model.get(), &error), HONE_OK) << error.message;
  const auto* y = static_cast<const float*>(hone_model_output(model.get(), 0));
  EXPECT_EQ(y[5], 12);
  x[5] = 2;
  ASSERT_EQ(hone_model_run(model.get(), &error), HONE_OK) << error.message;
  EXPECT_EQ(y[5], 24);
  EXPECT_EQ(hone_model_borrow_input(model.get(), 0, x + 1, 128, &error), HONE_ERROR_ARGUMENT);
  EXPECT_THAT(error.message, HasSubstr("aligned"));
}

TEST(BuildPackage, RefusesWrongUseWithOneClearLine) {
  const Model model(TemporaryFile("refuses.so", TinyModel()).path());
  ASSERT_NE(model.get(), nullptr) << model.error();
  hone_error error = {};
  EXPECT_EQ(hone_model_run(model.get(), &error), HONE_ERROR_ARGUMENT);
  EXPECT_THAT(error.message, HasSubstr("'x') was never set"));
  float x[32] = {};
  EXPECT_EQ(hone_model_set_input(model.get(), 0, x, 64, &error), HONE_ERROR_ARGUMENT);
  EXPECT_THAT(error.message, HasSubstr("'x' has 128 bytes (f32), not 64"));
  EXPECT_EQ(hone_model_set_input(model.get(), 1, x, 128, &error), HONE_ERROR_ARGUMENT);
  EXPECT_THAT(error.message, HasSubstr("no input 1: the model has 1"));
  EXPECT_EQ(hone_model_output(model.get(), 3), nullptr);
}

std::string LoadError(const std::string& name, const std::string& bytes) {
  const Model model(TemporaryFile(name, bytes).path());
  return model.get() != nullptr ? "" : model.error();
}

TEST(LoadModel, SaysWhatIsWrongWithAFile) {
  EXPECT_THAT(Model("/nonexistent/model.so").error(),
              HasSubstr("/nonexistent/model.so: cannot open"));
  EXPECT_THAT(Model(testing::TempDir()).error(), HasSubstr("not a file"));
  EXPECT_THAT(LoadError("empty.so", ""), HasSubstr("not a file with anything in it"));
  EXPECT_THAT(LoadError("text.so", std::string(5000, 'x')), HasSubstr("not a compiled model"));
  const std::string model = TinyModel();
  EXPECT_THAT(LoadError("short.so", model.substr(0, 4096 + 1000)), HasSubstr("truncated"));
  EXPECT_THAT(LoadError("other.so", TinyArtifacts()[0].code()),
              HasSubstr("a shared object, but not a compiled model"));
  std::string newer = model;
  newer[4096 + 8] = 9;
  EXPECT_THAT(LoadError("newer.so", newer), HasSubstr("format version 9"));
}

TEST(LoadModel, RefusesEveryTruncationAndAllDamageOfItsTables) {
  const std::string model = TinyModel();
  hone_model_header header;
  std::memcpy(&header, model.data() + 4096, sizeof(header));
  for (size_t length = 1; length < 4096 + header.total_bytes; length += 509) {
    EXPECT_NE(LoadError("truncated.so", model.substr(0, length)), "") << length;
  }
  std::mt19937 random(5);
  for (int round = 0; round < 1000; ++round) {
    std::string damaged = model;
    char& byte = damaged[4096 + random() % header.table_bytes];
    byte = static_cast<char>(byte ^ (1 + random() % 255));
    EXPECT_NE(LoadError("damaged.so", damaged), "") << round;
  }
}

// Damage that the checksum does not see: as a writer with a bug would make it.
TEST(LoadModel, ChecksWhatTheTablesSay) {
  const std::string model = TinyModel();
  hone_model_header header;
  std::memcpy(&header, model.data() + 4096, sizeof(header));
  const auto write_u32 = [&](uint64_t offset, uint32_t value) {
    std::string changed = model;
    std::memcpy(changed.data() + 4096 + offset, &value, sizeof(value));
    hone_model_header h;
    std::memcpy(&h, changed.data() + 4096, sizeof(h));
    h.checksum = 0;
    std::memcpy(changed.data() + 4096, &h, sizeof(h));
    h.checksum =
        hone_model_checksum(HONE_MODEL_CHECKSUM_START, changed.data() + 4096, header.table_bytes);
    std::memcpy(changed.data() + 4096, &h, sizeof(h));
    return LoadError("inconsistent.so", changed);
  };
  const uint64_t instruction = header.instructions.offset;
  EXPECT_EQ(write_u32(instruction, HONE_OP_CALL), "");
  EXPECT_THAT(write_u32(instruction, HONE_OP_BRANCH), HasSubstr("instruction 3"));
  EXPECT_THAT(write_u32(instruction + 4, 7), HasSubstr("a call"));
  EXPECT_THAT(write_u32(instruction + 8, 1000), HasSubstr("an instruction"));
  EXPECT_THAT(write_u32(instruction, HONE_OP_COPY), HasSubstr("a copy"));
  const uint64_t operand = header.operands.offset;
  EXPECT_THAT(write_u32(operand, 77), HasSubstr("an operand"));
  EXPECT_THAT(write_u32(operand + 8, 64), HasSubstr("an operand"));  // beyond the input's end
  EXPECT_THAT(write_u32(operand + 8, 4), HasSubstr("an operand"));   // not aligned
  const uint64_t input = header.inputs.offset;
  EXPECT_THAT(write_u32(input, 100000), HasSubstr("an input or output"));
  EXPECT_THAT(write_u32(input + 4, 9), HasSubstr("an input or output"));
  EXPECT_THAT(write_u32(input + 8, 0x313366), HasSubstr("element type 'f31'"));
  EXPECT_THAT(write_u32(input + 16, 3), HasSubstr("size"));
  EXPECT_THAT(write_u32(header.kernels.offset + 12, 0xffff), HasSubstr("a kernel"));
}

TEST(LoadModel, RefusesCodeForACpuThatCanMore) {
  Target target = TinyTarget();
  target.features = {"avx1024", "tiles-of-the-future"};
  const std::string model = *BuildPackage(TinyPlan(), TinyArtifacts(), target);
  EXPECT_EQ(LoadError("cpu.so", model),
            "'tiny' was compiled for a CPU with avx1024,tiles-of-the-future, which this one lacks; "
            "compile it on this machine (hone compile)");
  target.features.clear();
  const hone_cpu cpu = hone_cpu_read();
  for (const char* name = nullptr;
       hone_cpu_feature(&cpu, static_cast<int>(target.features.size()), &name) != 0;) {
    target.features.emplace_back(name);
  }
  EXPECT_EQ(LoadError("own.so", *BuildPackage(TinyPlan(), TinyArtifacts(), target)), "");
}

TEST(BuildPackage, ChecksThatArtifactsFitThePlan) {
  std::vector<pb::Artifact> artifacts = TinyArtifacts();
  artifacts[0].mutable_manifest()->mutable_buffers(0)->mutable_shape(0)->set_value(5);
  EXPECT_THAT(BuildPackage(TinyPlan(), artifacts, TinyTarget()).status().message(),
              HasSubstr("its buffer 'x' has 160 bytes, the tensor 'x' has 128"));
  artifacts = TinyArtifacts();
  artifacts.pop_back();
  EXPECT_THAT(BuildPackage(TinyPlan(), artifacts, TinyTarget()).status().message(),
              HasSubstr("2 kernels, but 1 artifacts"));
  artifacts = TinyArtifacts();
  artifacts[1].mutable_manifest()->add_params()->set_name("M");
  EXPECT_THAT(BuildPackage(TinyPlan(), artifacts, TinyTarget()).status().message(),
              HasSubstr("add_4x8: takes 1 parameters, its call gives 0"));
  artifacts = TinyArtifacts();
  artifacts[0].set_code("no code");
  EXPECT_EQ(BuildPackage(TinyPlan(), artifacts, TinyTarget()).status().code(),
            absl::StatusCode::kFailedPrecondition);
  ModelPlan plan = TinyPlan();
  plan.tensors[1].kind = TensorKind::kLocal;
  EXPECT_THAT(BuildPackage(plan, TinyArtifacts(), TinyTarget()).status().message(),
              HasSubstr("takes it as a constant"));
}

}  // namespace
}  // namespace hone
