// Real networks as a user meets them: compiled as they are and after a short tuning, each gives the
// answers that its publisher's runtime gave, or that the oracle computes. What a person sees in an
// answer (the cat is a tabby, the digits are read) is asked as well.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "runtime/hone.h"
#include "tests/support/terminal.h"

namespace hone {
namespace {

using testing::HasSubstr;

namespace fs = std::filesystem;

// Enough for the first kernels to have records; the rest of the model is compiled as it would be
// untuned, which mixes both in one package.
constexpr char kTuneMinutes[] = "0.15";

fs::path SharedModels() {
  const char* shared = std::getenv("HONE_SHARED_DIR");
  return shared != nullptr ? fs::path(shared) / "models"
                           : fs::path(std::getenv("HONE_SOURCE_DIR")) / "../shared/models";
}

class ModelsTest : public testing::Test, protected Terminal {
 protected:
  // Runs a line that must not fail; returns what it printed.
  std::string Shell(const std::string& line) {
    const Outcome outcome = Terminal::Shell(line);
    EXPECT_EQ(outcome.exit_code, 0) << line << "\n" << outcome.out << outcome.err;
    return outcome.out + outcome.err;
  }

  // Compiles `model` to untuned.so with an empty database and to tuned.so after a short tuning.
  void CompileBothWays(const std::string& model, const std::string& shapes = "") {
    EXPECT_THAT(Shell(absl::StrCat("hone compile ", model, " ", shapes, " -o untuned.so")),
                HasSubstr("\n0 of "));
    Shell(absl::StrCat("hone tune ", model, " ", shapes, " --minutes ", kTuneMinutes));
    const std::string out =
        Shell(absl::StrCat("hone compile ", model, " ", shapes, " -o tuned.so"));
    EXPECT_THAT(out, testing::Not(HasSubstr("\n0 of "))) << "no measurement was used:\n" << out;
  }

  // Both packages agree with a folder in the layout of ONNX's test data.
  void CheckData(const fs::path& data) {
    for (const char* package : kPackages) {
      Shell(absl::StrCat("hone check ", package, " --data '", data.string(), "'"));
    }
  }

  static constexpr const char* kPackages[] = {"untuned.so", "tuned.so"};
};

// Models of ../shared.
class SharedModelsTest : public ModelsTest {
 protected:
  void SetUp() override {
    if (!fs::exists(SharedModels() / "onnx")) {
      GTEST_SKIP() << "no ../shared/models; set HONE_SHARED_DIR to the folder of test material";
    }
  }

  static std::string Onnx(absl::string_view name) {
    return absl::StrCat("'", (SharedModels() / "onnx").string(), "/", name, ".onnx'");
  }
  static std::string Input(absl::string_view name) {
    return absl::StrCat("'", (SharedModels() / "inputs").string(), "/", name, "'");
  }
  static fs::path Reference(absl::string_view model, absl::string_view input) {
    return SharedModels() / "ref" / std::string(model) / std::string(input) / "test_data_set_0";
  }
};

TEST_F(SharedModelsTest, SuperResolutionEnlargesAPicture) {
  CompileBothWays(Onnx("super_resolution_10"), "--shape batch_size=1");
  CheckData(Reference("super_resolution_10", "cat"));
  for (const char* package : kPackages) {
    EXPECT_THAT(Shell(absl::StrCat("hone run ", package, " --input ", Input("cat.png"),
                                   " --preprocess luma --output out")),
                HasSubstr("672"));
    EXPECT_GT(fs::file_size(Path("out/output.npy")), 4 * 672 * 672);
  }
}

TEST_F(SharedModelsTest, SqueezeNetInHalfPrecisionSeesATabby) {
  CompileBothWays(Onnx("squeezenet_fp16"));
  for (const char* input : {"cat", "winml_kitten_224", "winml_hummingbird"}) {
    CheckData(Reference("squeezenet_fp16", input));
  }
  for (const char* package : kPackages) {
    const std::string out = Shell(absl::StrCat(
        "hone run ", package, " --input ", Input("cat.png"), " --preprocess 0-255 --bgr --labels '",
        (SharedModels() / "labels/synset.txt").string(), "'"));
    const size_t tabby = out.find("tabby");
    ASSERT_NE(tabby, std::string::npos) << out;
    // The first of the five classes: "tiger cat" is the runner-up.
    EXPECT_LT(tabby, out.find("tiger cat")) << out;
  }
}

TEST_F(SharedModelsTest, SpeechCommandsAgreeWithTheReference) {
  CompileBothWays(Onnx("speech_recog"), "--shape batch_size=1");
  CheckData(Reference("speech_recog", "random"));
}

// Reads all test digits through the C API. Images and labels are in the IDX format: big-endian
// headers of 16 and of 8 bytes, then bytes.
TEST_F(SharedModelsTest, MnistReadsTenThousandDigits) {
  constexpr int kDigits = 10000;
  constexpr int kPixels = 28 * 28;
  CompileBothWays(Onnx("mnist-8"));
  CheckData(Reference("mnist-8", "t10k_0"));
  Shell(absl::StrCat("gzip -dc ", Input("mnist_t10k-images-idx3-ubyte.gz"), " >images"));
  Shell(absl::StrCat("gzip -dc ", Input("mnist_t10k-labels-idx1-ubyte.gz"), " >labels"));
  const std::string images = Read("images");
  const std::string labels = Read("labels");
  ASSERT_EQ(images.size(), 16u + kDigits * kPixels);
  ASSERT_EQ(labels.size(), 8u + kDigits);
  for (const char* package : kPackages) {
    SCOPED_TRACE(package);
    hone_error error = {};
    const std::unique_ptr<hone_model, void (*)(hone_model*)> model(
        hone_model_load(Path(package).c_str(), nullptr, &error), hone_model_free);
    ASSERT_NE(model, nullptr) << error.message;
    int right = 0;
    std::vector<float> pixels(kPixels);
    for (int digit = 0; digit < kDigits; ++digit) {
      for (int p = 0; p < kPixels; ++p) {
        pixels[p] = static_cast<uint8_t>(images[16 + digit * kPixels + p]);
      }
      ASSERT_EQ(
          hone_model_set_input(model.get(), 0, pixels.data(), kPixels * sizeof(float), &error),
          HONE_OK)
          << error.message;
      ASSERT_EQ(hone_model_run(model.get(), &error), HONE_OK) << error.message;
      const float* scores = static_cast<const float*>(hone_model_output(model.get(), 0));
      right += std::max_element(scores, scores + 10) - scores == labels[8 + digit];
    }
    EXPECT_GE(right, kDigits * 989 / 1000);
  }
}

// Networks of the zoo need nothing from outside; the oracle says what they compute.
class ZooTest : public ModelsTest, public testing::WithParamInterface<const char*> {};

TEST_P(ZooTest, AgreesWithTheOracle) {
  Shell(absl::StrCat("hone zoo ", GetParam(), " -o model.onnx"));
  CompileBothWays("model.onnx");
  for (const char* package : kPackages) {
    Shell(absl::StrCat("hone check ", package, " --against model.onnx"));
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, ZooTest,
                         testing::Values("mobilenetv2", "resnet18", "squeezenet"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace hone
