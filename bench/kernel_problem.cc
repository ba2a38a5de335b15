#include "bench/kernel_problem.h"

#include <cmath>
#include <filesystem>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "compiler/operators/attention.h"
#include "compiler/operators/convolution.h"
#include "compiler/operators/matmul.h"
#include "compiler/operators/row_chain.h"
#include "compiler/operators/softmax.h"

namespace hone {
namespace {

using Numbers = std::map<std::string, int64_t, std::less<>>;

StatusOr<Numbers> ParseNumbers(const std::vector<std::string>& words) {
  Numbers numbers;
  for (size_t i = 1; i < words.size(); ++i) {
    if (absl::StartsWith(words[i], "type=")) continue;
    const std::pair<std::string, std::string> pair =
        absl::StrSplit(words[i], absl::MaxSplits('=', 1));
    int64_t value = 0;
    if (!absl::SimpleAtoi(pair.second, &value) || value < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", words[i], "' is not like name=number; see bench/kernels/README.md"));
    }
    numbers[pair.first] = value;
  }
  return numbers;
}

StatusOr<KernelProblem> ParseProblem(const std::string& line) {
  const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipWhitespace());
  HONE_ASSIGN_OR_RETURN(Numbers numbers, ParseNumbers(words));
  std::string missing;
  auto take = [&](absl::string_view key, int64_t otherwise = 0) {
    auto found = numbers.find(std::string(key));
    if (found == numbers.end()) {
      if (otherwise == 0 && missing.empty()) missing = std::string(key);
      return otherwise;
    }
    return numbers.extract(found).mapped();
  };
  KernelProblem problem;
  hone_peer_problem& p = problem.numbers;
  p.batch = 1;
  problem.count = static_cast<int>(take("count", 1));
  if (words[0] == "conv" || words[0] == "depthwise") {
    const bool depthwise = words[0] == "depthwise";
    p.kind = HONE_PEER_CONVOLUTION;
    p.channels = take("c");
    p.groups = depthwise ? p.channels : 1;
    p.size = take("hw");
    p.outputs = depthwise ? p.channels : take("o");
    p.kernel = take("k");
    p.stride = take("s");
  } else if (words[0] == "matmul" || words[0] == "batched") {
    p.kind = words[0] == "matmul" ? HONE_PEER_MATMUL : HONE_PEER_BATCHED_MATMUL;
    if (p.kind == HONE_PEER_BATCHED_MATMUL) p.batch = take("b");
    p.m = take("m");
    p.n = take("n");
    p.k = take("k");
  } else if (words[0] == "gelu") {
    p.kind = HONE_PEER_GELU_MATMUL;
    p.m = take("m");
    p.n = take("n");
    p.k = take("k");
  } else if (words[0] == "softmax" || words[0] == "layernorm") {
    p.kind = words[0] == "softmax" ? HONE_PEER_SOFTMAX : HONE_PEER_LAYER_NORM;
    p.m = take("m");
    p.n = take("n");
  } else if (words[0] == "attention") {
    p.kind = HONE_PEER_ATTENTION;
    p.batch = take("b");
    p.m = take("m");
    p.n = take("n");
    p.k = take("k");
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("no kind '", words[0],
                     "'; there are conv, depthwise, matmul, batched, gelu, softmax, layernorm and "
                     "attention"));
  }
  for (const std::string& word : words) {
    if (!absl::StartsWith(word, "type=")) continue;
    const bool has_types = p.kind == HONE_PEER_CONVOLUTION || p.kind == HONE_PEER_MATMUL;
    const bool of_bytes = word == "type=u8s8";
    if ((!of_bytes && word != "type=bf16") || !has_types) {
      return absl::InvalidArgumentError(absl::StrCat(
          "'", word, "': there are type=u8s8 and type=bf16, of conv, depthwise and matmul"));
    }
    p.type = of_bytes ? HONE_PEER_U8S8 : HONE_PEER_BF16;
  }
  if (!missing.empty()) return absl::InvalidArgumentError(absl::StrCat("no ", missing, "="));
  if (!numbers.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(words[0], " has no '", numbers.begin()->first, "'"));
  }
  for (const std::string& word : words) {
    if (word.rfind("count=", 0) == 0) continue;
    absl::StrAppend(&problem.name, problem.name.empty() ? "" : " ", word);
  }
  return problem;
}

Expr Operand0() { return EpilogueOperand(0, DType::kF32); }

// x * Phi(x) of the product and its bias.
Workload GeluWorkload(const hone_peer_problem& p) {
  const Expr x = EpilogueValue(DType::kF32) + Operand0();
  const Expr value = x * Float(0.5) * (Float(1) + Unary(UnaryOp::kErf, x * Float(std::sqrt(0.5))));
  return MatMulWorkload({.x = {p.m, p.k}, .w = {p.k, p.n}},
                        {.value = value, .operands = {{DType::kF32, {p.n}, true}}});
}

Workload LayerNormWorkload(const hone_peer_problem& p) {
  const Expr x = Operand0();
  const Expr share = Float(1.0 / static_cast<double>(p.n));
  const auto stage = [](Expr body, bool per_row, Combiner combiner = Combiner::kNone) {
    return RowStage{combiner, per_row, std::move(body)};
  };
  const auto s = RowStageValue;
  const Operand row = {DType::kF32, {p.n}, true};
  return RowChainWorkload(
      {.shape = {p.m, p.n},
       .first = 1,
       .stages = {stage(x, true, Combiner::kSum), stage(s(0) * share, true), stage(x - s(1), false),
                  stage(s(2) * s(2), true, Combiner::kSum),
                  stage(Float(1) / Unary(UnaryOp::kSqrt, s(3) * share + Float(1e-5)), true),
                  stage(s(2) * s(4) * EpilogueOperand(1, DType::kF32) +
                            EpilogueOperand(2, DType::kF32),
                        false)},
       .operands = {{DType::kF32, {p.m, p.n}}, row, row}});
}

Workload AttentionOf(const hone_peer_problem& p) {
  const Expr scale = Float(1 / std::sqrt(static_cast<double>(p.k)));
  return AttentionWorkload({.q = {DType::kF32, {p.batch, p.m, p.k}},
                            .k = {DType::kF32, {p.batch, p.n, p.k}},
                            .transpose_k = true,
                            .v = {DType::kF32, {p.batch, p.n, p.k}},
                            .score = {.value = EpilogueValue(DType::kF32) * scale}});
}

// What the operands of a type of problem hold.
struct Types {
  DType input;
  DType weight;
};

Types TypesOf(const hone_peer_problem& p) {
  switch (p.type) {
    case HONE_PEER_F32:
      break;
    case HONE_PEER_U8S8:
      return {DType::kU8, DType::kI8};
    case HONE_PEER_BF16:
      return {DType::kBF16, DType::kBF16};
  }
  return {DType::kF32, DType::kF32};
}

// What becomes of the sums: bf16 of bf16; bytes of convolutions of bytes, whose products stay as
// wide as they are.
Epilogue Narrowed(const hone_peer_problem& p) {
  if (p.type == HONE_PEER_BF16) return {.value = Cast(EpilogueValue(DType::kF32), DType::kBF16)};
  if (p.type != HONE_PEER_U8S8 || p.kind != HONE_PEER_CONVOLUTION) return {};
  const Expr scaled = Cast(EpilogueValue(DType::kI32), DType::kF32) * Float(HONE_PEER_SCALE);
  const Expr rounded = Unary(UnaryOp::kRound, scaled);
  return {.value = Cast(Min(Max(rounded, Float(0)), Float(255)), DType::kU8)};
}

int64_t OutputSize(const hone_peer_problem& p) {
  return (p.size + 2 * (p.kernel / 2) - p.kernel) / p.stride + 1;
}

}  // namespace

StatusOr<std::vector<KernelProblem>> ReadProblems(const std::string& path) {
  HONE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  std::vector<KernelProblem> problems;
  int number = 0;
  for (absl::string_view raw : absl::StrSplit(text, '\n')) {
    ++number;
    const std::string line(raw.substr(0, raw.find('#')));
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    StatusOr<KernelProblem> problem = ParseProblem(line);
    if (!problem.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", number, ": ", problem.status().message()));
    }
    problem->list = std::filesystem::path(path).stem().string();
    problems.push_back(*std::move(problem));
  }
  return problems;
}

Workload WorkloadOf(const KernelProblem& problem) {
  const hone_peer_problem& p = problem.numbers;
  if (p.kind == HONE_PEER_CONVOLUTION) {
    const int64_t out = OutputSize(p);
    const int64_t pad = p.kernel / 2;
    const Convolution convolution = {.x = {1, p.channels, p.size, p.size},
                                     .w = {p.outputs, p.channels / p.groups, p.kernel, p.kernel},
                                     .y = {1, p.outputs, out, out},
                                     .window = {.kernel = {p.kernel, p.kernel},
                                                .strides = {p.stride, p.stride},
                                                .dilations = {1, 1},
                                                .pads_begin = {pad, pad},
                                                .pads_end = {pad, pad}},
                                     .groups = p.groups,
                                     .x_type = TypesOf(p).input,
                                     .w_type = TypesOf(p).weight};
    return ConvolutionWorkload(convolution, Narrowed(p));
  }
  switch (p.kind) {
    case HONE_PEER_CONVOLUTION:
      break;
    case HONE_PEER_MATMUL:
      return MatMulWorkload({.x = {p.m, p.k},
                             .w = {p.k, p.n},
                             .x_type = TypesOf(p).input,
                             .w_type = TypesOf(p).weight},
                            Narrowed(p));
    case HONE_PEER_BATCHED_MATMUL:
      return MatMulWorkload(
          {.x = {p.batch, p.m, p.k}, .w = {p.batch, p.k, p.n}, .constant_w = false}, {});
    case HONE_PEER_GELU_MATMUL:
      return GeluWorkload(p);
    case HONE_PEER_SOFTMAX:
      return SoftmaxWorkload({.x = {p.m, p.n}, .first = 1, .count = 1}, {});
    case HONE_PEER_LAYER_NORM:
      return LayerNormWorkload(p);
    case HONE_PEER_ATTENTION:
      return AttentionOf(p);
  }
  return {};
}

std::vector<Layout> LayoutsOf(const KernelProblem& problem, const Workload& workload,
                              const Target& target) {
  std::vector<Layout> layouts;
  for (const Buffer& buffer : workload.buffers) {
    const int rank = static_cast<int>(buffer.shape.size());
    const bool image = problem.numbers.kind == HONE_PEER_CONVOLUTION && rank >= 3 &&
                       buffer.role != BufferRole::kConstant;
    // A vector of sums; or what a row of a matrix unit's tile takes.
    int64_t block = target.FloatLanes();
    if (target.HasFeature("amx-tile")) block = kTileRowBytes / DTypeBytes(buffer.dtype);
    const bool blocked =
        image && buffer.shape[1].IsInt() && buffer.shape[1]->int_value % block == 0;
    layouts.push_back(blocked ? Layout::Blocked(rank, 1, block) : Layout::Identity(rank));
  }
  return layouts;
}

}  // namespace hone
