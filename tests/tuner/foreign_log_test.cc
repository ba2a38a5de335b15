// Lines as AutoTVM, Ansor and MetaSchedule write them.
#include "tuner/transfer/foreign_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "compiler/operators/convolution.h"
#include "compiler/operators/matmul.h"

namespace hone {
namespace {

std::string AutoTvm(const std::string& task, const std::string& args,
                    const std::string& result = "[[0.002, 0.001], 0, 1.5, 1580000000.25]") {
  return absl::StrCat(R"({"input": ["llvm -mcpu=core-avx2", ")", task, R"(", )", args,
                      R"(, {}], "config": {"index": 7, "code_hash": null, "entity": [["tile_ic", )",
                      R"("sp", [-1, 16]]]}, "result": )", result,
                      R"(, "version": 0.2, "tvm_version": "0.8.dev0"})");
}

constexpr char kConvArgs[] =
    R"([["TENSOR", [1, 64, 56, 56], "float32"], ["TENSOR", [128, 64, 3, 3], "float32"], [2, 2], )"
    R"([1, 1, 1, 1], [1, 1], "NCHW", "NCHW", "float32"])";

ForeignCost CostOf(const ForeignLine& line) {
  const ForeignReject* reject = std::get_if<ForeignReject>(&line);
  EXPECT_EQ(reject, nullptr) << reject->reason;
  return reject == nullptr ? std::get<ForeignCost>(line) : ForeignCost();
}

ForeignReject RejectOf(const ForeignLine& line) {
  const ForeignReject* reject = std::get_if<ForeignReject>(&line);
  EXPECT_NE(reject, nullptr);
  return reject == nullptr ? ForeignReject() : *reject;
}

TEST(ForeignLogTest, MapsConvolutions) {
  ForeignLog log;
  const ForeignCost cost = CostOf(log.Read(AutoTvm("conv2d_NCHWc.x86", kConvArgs)));
  EXPECT_EQ(cost.format, "autotvm");
  EXPECT_EQ(cost.target, "llvm -mcpu=core-avx2");
  EXPECT_NEAR(cost.cost_ns, 1.5e6, 1);
  EXPECT_EQ(cost.unix_ms, 1'580'000'000'250);
  const Convolution want = {.x = {1, 64, 56, 56},
                            .w = {128, 64, 3, 3},
                            .y = {1, 128, 28, 28},
                            .window = {.kernel = {3, 3},
                                       .strides = {2, 2},
                                       .dilations = {1, 1},
                                       .pads_begin = {1, 1},
                                       .pads_end = {1, 1}}};
  EXPECT_EQ(cost.workload, ConvolutionWorkload(want, Epilogue{}).ToString());
  // Winograd is another way to compute the same, and paddings have two forms.
  const std::string two_pads =
      R"([["TENSOR", [1, 64, 56, 56], "float32"], ["TENSOR", [128, 64, 3, 3], "float32"], )"
      R"([2, 2], [1, 1], [1, 1], "float32"])";
  EXPECT_EQ(CostOf(log.Read(AutoTvm("conv2d_nchw_winograd.cuda", two_pads))).workload,
            cost.workload);
}

TEST(ForeignLogTest, MapsDepthwiseConvolutions) {
  const std::string args =
      R"([["TENSOR", [1, 32, 112, 112], "float32"], ["TENSOR", [32, 1, 3, 3], "float32"], )"
      R"([1, 1], [1, 1, 1, 1], [1, 1], "float32"])";
  const Convolution want = {.x = {1, 32, 112, 112},
                            .w = {32, 1, 3, 3},
                            .y = {1, 32, 112, 112},
                            .window = {.kernel = {3, 3},
                                       .strides = {1, 1},
                                       .dilations = {1, 1},
                                       .pads_begin = {1, 1},
                                       .pads_end = {1, 1}},
                            .groups = 32};
  ForeignLog log;
  EXPECT_EQ(CostOf(log.Read(AutoTvm("depthwise_conv2d_nchw.arm_cpu", args))).workload,
            ConvolutionWorkload(want, Epilogue{}).ToString());
}

TEST(ForeignLogTest, MapsDenseAndBatchMatMul) {
  ForeignLog log;
  const std::string dense =
      R"([["TENSOR", [8, 2048], "float32"], ["TENSOR", [1000, 2048], "float32"], null, "float32"])";
  EXPECT_EQ(
      CostOf(log.Read(AutoTvm("dense_pack.x86", dense))).workload,
      MatMulWorkload({.x = {8, 2048}, .w = {1000, 2048}, .transpose_w = true}, {}).ToString());
  const std::string batch =
      R"([["TENSOR", [12, 128, 64], "float32"], ["TENSOR", [12, 128, 64], "float32"]])";
  EXPECT_EQ(
      CostOf(log.Read(AutoTvm("batch_matmul.x86", batch))).workload,
      MatMulWorkload(
          {.x = {12, 128, 64}, .w = {12, 128, 64}, .transpose_w = true, .constant_w = false}, {})
          .ToString());
}

TEST(ForeignLogTest, LeavesOutWithAReasonWhatItHasNoWorkloadFor) {
  ForeignLog log;
  const auto reason = [&](const std::string& line) {
    const ForeignReject reject = RejectOf(log.Read(line));
    EXPECT_FALSE(reject.bad) << reject.reason;
    return reject.reason;
  };
  EXPECT_EQ(reason(AutoTvm("conv2d_transpose_nchw.x86", kConvArgs)),
            "operator conv2d_transpose_nchw");
  EXPECT_EQ(reason(AutoTvm("conv2d_nchw.cuda", R"([["TENSOR", [1, 4, 9, 9], "int8"], )"
                                               R"(["TENSOR", [4, 4, 3, 3], "int8"]])")),
            "tensors of another type than fp32");
  EXPECT_EQ(reason(AutoTvm("dense", R"([["TENSOR", [1, 8], "float32"], ["TENSOR", [4, 8], )"
                                    R"("float32"], ["TENSOR", [4], "float32"], "float32"])")),
            "dense with a bias");
  EXPECT_EQ(reason(AutoTvm("conv2d_NCHWc.x86", kConvArgs, "[[1000000000.0], 4, 10.1, 1.5e9]")),
            "failed there");
  EXPECT_EQ(reason(R"({"i": [["[\"d7b65649a4dd54becea0a52aabbc5af5\", [1, 7]]", "llvm", [], "", 0)"
                   R"(, []], [[], [["SP", 3, 0, 8, [1], 1]]]], "r": [[1.2e-05], 0, 1.1, 162], )"
                   R"("v": "v0.6"})"),
            "Ansor names what it computes by a hash");
  EXPECT_EQ(reason(R"({"i": ["cuda", "topi_nn_conv2d", [], {}, [], {}], "r": [[0.1], 0, 1, 1], )"
                   R"("v": 0.1})"),
            "AutoTVM's format before 0.2");
}

TEST(ForeignLogTest, TellsBadLinesFromGoodOnes) {
  ForeignLog log;
  for (const std::string& line : std::vector<std::string>{
           "", "no JSON", "{", "[]", "{}", "7", "null", "[[1],2]", "{\"input\": 1, \"result\": 2}",
           AutoTvm("dense", "{}"), AutoTvm("conv2d_nchw", kConvArgs, "[[-1], 0, 1, 1]"),
           AutoTvm("conv2d_nchw", kConvArgs, "[[], 0, 1, 1]"),
           AutoTvm("conv2d_nchw", kConvArgs, "[[\"fast\"], 0, 1, 1]"),
           R"([0, [[], [0.1], "llvm", []]])", std::string(3'000'000, '[')}) {
    EXPECT_TRUE(RejectOf(log.Read(line)).bad) << line.substr(0, 80);
  }
}

TEST(ForeignLogTest, SurvivesShapesThatMakeNoSense) {
  ForeignLog log;
  for (const char* shapes :
       {R"(["TENSOR", [0, 8], "float32"], ["TENSOR", [4, 8], "float32"])",
        R"(["TENSOR", [-3, 8], "float32"], ["TENSOR", [4, 8], "float32"])",
        R"(["TENSOR", [9223372036854775807, 8], "float32"], ["TENSOR", [4, 8], "float32"])",
        R"(["TENSOR", [3, 8], "float32"], ["TENSOR", [4, 9], "float32"])",
        R"(["TENSOR", [3.5, 8], "float32"], ["TENSOR", [4, 9], "float32"])",
        R"(["TENSOR"], ["TENSOR", [4, 9], "float32"])", R"("TENSOR", 4)"}) {
    EXPECT_FALSE(
        RejectOf(log.Read(AutoTvm("dense", absl::StrCat("[", shapes, ", null]")))).reason.empty());
  }
  for (const char* window : {"[0, 0], [1, 1], [1, 1]", "[1, 1], [-1, 0], [1, 1]",
                             "[1, 1], [0, 0], [100, 100]", "[1, 1], [1], [1, 1]", "1, 1, 1"}) {
    EXPECT_FALSE(RejectOf(log.Read(AutoTvm("conv2d_nchw",
                                           absl::StrCat(R"([["TENSOR", [1, 4, 9, 9], "float32"], )",
                                                        R"(["TENSOR", [4, 4, 3, 3], "float32"], )",
                                                        window, "]"))))
                     .reason.empty())
        << window;
  }
}

// As TVM keeps a module: strings are nodes of their own.
std::string Module(const std::string& block) {
  const std::string json = absl::StrCat(
      R"({"root": 1, "nodes": [{"type_key": ""}, {"type_key": "tir.Block", "attrs": )",
      R"({"name_hint": "3", "body": "2"}}, {"type_key": "tir.Block", "attrs": {"name_hint": "4"}},)",
      R"({"type_key": "runtime.String", "repr_str": "root"}, )",
      R"({"type_key": "runtime.String", "repr_str": ")", block, R"("}]})");
  return absl::StrCat(R"(["12345678", ")", absl::Base64Escape(json), R"("])");
}

TEST(ForeignLogTest, MapsMatrixProductsOfMetaSchedule) {
  ForeignLog log({Module("T_matmul_NT"), Module("conv2d_nchw"), "no module"});
  const auto record = [](int workload) {
    return absl::StrCat(
        "[", workload, R"(, [[[], []], [0.0005], {"kind": "llvm", "mcpu": "znver3"}, )",
        R"([["TENSOR", "float32", [8, 2048]], ["TENSOR", "float32", [1000, 2048]],)",
        R"( ["TENSOR", "float32", [8, 1000]]]]])");
  };
  const ForeignCost cost = CostOf(log.Read(record(0)));
  EXPECT_EQ(cost.format, "metaschedule");
  EXPECT_EQ(cost.target, "llvm -mcpu=znver3");
  EXPECT_NEAR(cost.cost_ns, 5e5, 1);
  EXPECT_EQ(
      cost.workload,
      MatMulWorkload({.x = {8, 2048}, .w = {1000, 2048}, .transpose_w = true}, {}).ToString());
  EXPECT_EQ(RejectOf(log.Read(record(1))).reason, "operator conv2d_nchw");
  EXPECT_EQ(RejectOf(log.Read(record(2))).reason, "a module that cannot be read");
  EXPECT_TRUE(RejectOf(log.Read(record(3))).bad);
}

}  // namespace
}  // namespace hone
