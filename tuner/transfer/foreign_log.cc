// The formats, as TVM 0.8 to 0.20 writes them:
//   AutoTVM       {"input": [target, task, args, kwargs], "result": [costs, error, all, when],
//                  "version": 0.2}; args are ["TENSOR", shape, dtype] and plain values
//   Ansor         {"i": [[key, target, ...], steps], "r": [costs, error, all, when], "v": "v0.6"};
//                  the key is a JSON text: a hash of the computation, and its shapes
//   MetaSchedule  [workload, [trace, costs, target, [["TENSOR", dtype, shape], ...]]], and in the
//                  other file of the pair [hash, module]: the module as JSON in base64
// Times are in seconds. An Ansor record does not say what it computes, so none can be used.
#include "tuner/transfer/foreign_log.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compiler/operators/convolution.h"
#include "compiler/operators/matmul.h"

namespace hone {
namespace {

using Json = nlohmann::json;
using Shape = std::vector<int64_t>;
// A workload, or why there is none.
using Mapped = std::variant<Workload, std::string>;

constexpr size_t kLineBytesMax = 1 << 20;
constexpr int64_t kElementsMax = int64_t{1} << 40;

ForeignReject Bad(std::string reason) { return {.reason = std::move(reason), .bad = true}; }

// Null where there is none: [i] of an array, .key of an object.
const Json& At(const Json& value, size_t index) {
  static const Json kNull;
  return value.is_array() && index < value.size() ? value[index] : kNull;
}
const Json& At(const Json& value, const char* key) {
  static const Json kNull;
  const auto found = value.is_object() ? value.find(key) : value.end();
  return value.is_object() && found != value.end() ? *found : kNull;
}

std::string TextOf(const Json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::optional<Shape> Numbers(const Json& value) {
  if (!value.is_array()) return std::nullopt;
  Shape numbers;
  for (const Json& one : value) {
    if (!one.is_number_integer()) return std::nullopt;
    numbers.push_back(one.get<int64_t>());
  }
  return numbers;
}

// Sizes that make sense, so that nothing overflows.
bool IsShape(const Shape& shape) {
  double elements = 1;
  for (const int64_t extent : shape) {
    if (extent < 1 || extent > kElementsMax) return false;
    elements *= static_cast<double>(extent);
  }
  return elements < static_cast<double>(kElementsMax);
}

// Of ["TENSOR", shape, "float32"], or of MetaSchedule's ["TENSOR", "float32", shape].
std::optional<Shape> Fp32Tensor(const Json& value) {
  const bool dtype_first = At(value, 1).is_string();
  if (TextOf(At(value, size_t{0})) != "TENSOR") return std::nullopt;
  if (TextOf(At(value, dtype_first ? 1 : 2)) != "float32") return std::nullopt;
  const std::optional<Shape> shape = Numbers(At(value, dtype_first ? 2 : 1));
  return shape && IsShape(*shape) ? shape : std::nullopt;
}

// [2], [1, 1] or, of paddings, [top, left, bottom, right].
std::optional<Shape> PairOf(const Json& value) {
  std::optional<Shape> pair = Numbers(value);
  if (!pair || pair->empty() || pair->size() > 4) return std::nullopt;
  for (const int64_t one : *pair) {
    if (one < 0 || one > (1 << 20)) return std::nullopt;
  }
  return pair;
}

Mapped MatMulOf(const Shape& x, const Shape& w, bool transpose_x, bool transpose_w,
                bool constant_w) {
  const size_t rank = x.size();
  if (rank < 2 || w.size() != rank) return "matrices of other ranks";
  if (x[rank - (transpose_x ? 2 : 1)] != w[rank - (transpose_w ? 1 : 2)]) {
    return "matrices that do not fit each other";
  }
  for (size_t i = 0; i + 2 < rank; ++i) {
    if (x[i] != w[i]) return "batches that do not fit each other";
  }
  return MatMulWorkload({.x = x,
                         .w = w,
                         .transpose_x = transpose_x,
                         .transpose_w = transpose_w,
                         .constant_w = constant_w},
                        Epilogue{});
}

// Data and weights, strides, padding, dilation; `groups` 0: depthwise.
Mapped ConvolutionOf(const Json& args, int64_t groups) {
  const auto x = Fp32Tensor(At(args, size_t{0}));
  auto w = Fp32Tensor(At(args, 1));
  if (!x || !w) return "tensors of another type than fp32";
  if (x->size() != 4 || w->size() != 4) return "packed layouts";
  for (const Json& arg : args) {
    if (arg.is_string() &&
        (absl::StrContains(TextOf(arg), "NHWC") || absl::StrContains(TextOf(arg), "HWIO") ||
         absl::StrContains(TextOf(arg), "HWCN"))) {
      return "layout NHWC";
    }
  }
  const auto strides = PairOf(At(args, 2));
  const auto pads = PairOf(At(args, 3));
  const auto dilations = PairOf(At(args, 4));
  if (!strides || strides->size() != 2 || !pads || !dilations || dilations->size() != 2 ||
      pads->size() % 2 != 0) {
    return "windows written in another way";
  }
  if (groups == 0) {
    groups = (*w)[0];
    w = Shape{(*w)[0] * (*w)[1], 1, (*w)[2], (*w)[3]};
  }
  if (groups < 1 || (*x)[1] != (*w)[1] * groups || (*w)[0] % groups != 0) {
    return "channels that do not fit each other";
  }
  Convolution convolution = {.x = *x, .w = *w, .y = {(*x)[0], (*w)[0]}, .groups = groups};
  convolution.window = {.kernel = {(*w)[2], (*w)[3]},
                        .strides = *strides,
                        .dilations = *dilations,
                        .pads_begin = {(*pads)[0], (*pads)[1]},
                        .pads_end = {pads->end()[-2], pads->end()[-1]}};
  for (size_t i = 0; i < 2; ++i) {
    const int64_t window = ((*w)[2 + i] - 1) * (*dilations)[i] + 1;
    const int64_t room =
        (*x)[2 + i] + convolution.window.pads_begin[i] + convolution.window.pads_end[i] - window;
    if ((*strides)[i] < 1 || (*dilations)[i] < 1 || room < 0) return "windows that do not fit";
    convolution.y.push_back(room / (*strides)[i] + 1);
  }
  if (!IsShape(convolution.y)) return "windows that do not fit";
  return ConvolutionWorkload(convolution, Epilogue{});
}

Mapped DenseOf(const Json& args) {
  const auto x = Fp32Tensor(At(args, size_t{0}));
  const auto w = Fp32Tensor(At(args, 1));
  if (!x || !w) return "tensors of another type than fp32";
  if (!At(args, 2).is_null()) return "dense with a bias";
  if (x->size() != 2 || w->size() != 2) return "packed layouts";
  return MatMulOf(*x, *w, false, true, /*constant_w=*/true);
}

Mapped BatchMatMulOf(const Json& args) {
  const auto x = Fp32Tensor(At(args, size_t{0}));
  const auto w = Fp32Tensor(At(args, 1));
  if (!x || !w) return "tensors of another type than fp32";
  const Json& transpose_x = At(args, 4);
  const Json& transpose_w = At(args, 5);
  return MatMulOf(*x, *w, transpose_x.is_boolean() && transpose_x.get<bool>(),
                  !transpose_w.is_boolean() || transpose_w.get<bool>(), /*constant_w=*/false);
}

// Of an AutoTVM task: "conv2d_nchw.cuda". Algorithms of their own ("_winograd") compute the same.
Mapped WorkloadOfTask(const std::string& task, const Json& args) {
  const std::string name = task.substr(0, task.find('.'));
  if (absl::StartsWith(name, "conv2d_nchw") || absl::StartsWith(name, "conv2d_NCHWc")) {
    if (absl::StrContains(name, "int8")) return "tensors of another type than fp32";
    return ConvolutionOf(args, 1);
  }
  if (absl::StartsWith(name, "depthwise_conv2d_nchw") ||
      absl::StartsWith(name, "depthwise_conv2d_NCHWc")) {
    return ConvolutionOf(args, 0);
  }
  if (absl::StartsWith(name, "group_conv2d_nchw") && At(args, 5).is_number_integer()) {
    return ConvolutionOf(args, At(args, 5).get<int64_t>());
  }
  if (absl::StartsWith(name, "dense")) return DenseOf(args);
  if (absl::StartsWith(name, "batch_matmul")) return BatchMatMulOf(args);
  return absl::StrCat("operator ", name.substr(0, 40));
}

ForeignLine CostOf(ForeignCost cost, const Mapped& mapped, const Json& seconds) {
  if (const std::string* why = std::get_if<std::string>(&mapped)) return ForeignReject{*why};
  double sum = 0;
  for (const Json& one : seconds) {
    if (!one.is_number()) return Bad("a time that is no number");
    sum += one.get<double>();
  }
  cost.cost_ns = seconds.empty() ? 0 : 1e9 * sum / static_cast<double>(seconds.size());
  // What failed without a word is said to have taken 1e9 or 1e10 seconds.
  if (cost.cost_ns >= 1e18) return ForeignReject{"failed there"};
  if (!std::isfinite(cost.cost_ns) || cost.cost_ns <= 0) return Bad("a time that cannot be");
  cost.workload = std::get<Workload>(mapped).ToString();
  return cost;
}

ForeignLine ReadAutoTvm(const Json& record) {
  const Json& input = At(record, "input");
  const Json& result = At(record, "result");
  const Json& seconds = At(result, size_t{0});
  if (!At(input, 1).is_string() || !At(input, 2).is_array() || !At(result, 1).is_number_integer()) {
    return Bad("a record with parts missing");
  }
  if (At(result, 1).get<int64_t>() != 0) return ForeignReject{"failed there"};
  if (!seconds.is_array()) return Bad("a record with parts missing");
  ForeignCost cost = {.format = "autotvm", .target = TextOf(At(input, size_t{0}))};
  const Json& when = At(result, 3);
  if (when.is_number() && when.get<double>() > 0 && when.get<double>() < 1e12) {
    cost.unix_ms = static_cast<int64_t>(1e3 * when.get<double>());
  }
  return CostOf(std::move(cost), WorkloadOfTask(TextOf(At(input, 1)), At(input, 2)), seconds);
}

std::string TargetText(const Json& target) {
  if (target.is_string()) return TextOf(target);
  const std::string cpu = TextOf(At(target, "mcpu"));
  return absl::StrCat(TextOf(At(target, "kind")), cpu.empty() ? "" : " -mcpu=", cpu);
}

Mapped WorkloadOfBlocks(const std::string& blocks, const Json& args) {
  const auto x = Fp32Tensor(At(args, size_t{0}));
  const auto w = Fp32Tensor(At(args, 1));
  const bool is_nt = blocks == "T_matmul_NT" || blocks == "NT_matmul" ||
                     blocks == "T_batch_matmul_NT" || blocks == "NT_batch_matmul";
  const bool is_nn = blocks == "T_matmul_NN" || blocks == "matmul" ||
                     blocks == "T_batch_matmul_NN" || blocks == "batch_matmul";
  if (blocks.empty()) return "a module that cannot be read";
  if (!is_nt && !is_nn) return absl::StrCat("operator ", blocks.substr(0, 40));
  if (!x || !w) return "tensors of another type than fp32";
  return MatMulOf(*x, *w, false, is_nt, /*constant_w=*/x->size() == 2);
}

// What a module computes: the names of its blocks, the outermost left out. Strings are nodes of
// their own in TVM's JSON, which attributes name by number.
std::string BlocksOf(absl::string_view workload_line) {
  const Json line = Json::parse(workload_line.begin(), workload_line.end(), nullptr, false);
  std::string text;
  if (!absl::Base64Unescape(TextOf(At(line, 1)), &text)) return "";
  const Json module = Json::parse(text, nullptr, false);
  const Json& nodes = At(module, "nodes");
  if (!nodes.is_array()) return "";
  std::vector<std::string> names;
  for (const Json& node : nodes) {
    const std::string type = TextOf(At(node, "type_key"));
    if (type != "tir.Block" && type != "tir.SBlock") continue;
    std::string name = TextOf(At(At(node, "attrs"), "name_hint"));
    size_t index = 0;
    if (absl::SimpleAtoi(name, &index)) name = TextOf(At(At(nodes, index), "repr_str"));
    if (name != "root") names.push_back(name);
  }
  return absl::StrJoin(names, ", ");
}

}  // namespace

ForeignLog::ForeignLog(const std::vector<std::string>& metaschedule_workloads) {
  for (const std::string& line : metaschedule_workloads) blocks_.push_back(BlocksOf(line));
}

ForeignLine ForeignLog::Read(absl::string_view line) const {
  if (line.size() > kLineBytesMax) return Bad("a line of more than 1 MiB");
  const Json record = Json::parse(line.begin(), line.end(), nullptr, false);
  if (record.is_discarded()) return Bad("no JSON");
  if (record.is_object() && record.contains("input")) return ReadAutoTvm(record);
  if (record.is_object() && record.contains("i") && record.contains("r")) {
    return At(record, "v").is_string() ? ForeignReject{"Ansor names what it computes by a hash"}
                                       : ForeignReject{"AutoTVM's format before 0.2"};
  }
  const Json& measured = At(record, 1);
  const Json& index = At(record, size_t{0});
  if (!index.is_number_unsigned() || !measured.is_array() || measured.size() < 4) {
    return Bad("no record of a format that is known");
  }
  if (index.get<size_t>() >= blocks_.size()) {
    return Bad("a MetaSchedule record whose database_workload.json is not beside it");
  }
  if (!At(measured, 1).is_array()) return ForeignReject{"failed there"};
  return CostOf({.format = "metaschedule", .target = TargetText(At(measured, 2))},
                WorkloadOfBlocks(blocks_[index.get<size_t>()], At(measured, 3)), At(measured, 1));
}

}  // namespace hone
