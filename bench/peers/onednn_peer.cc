// oneDNN as a peer, of version 2 and 3 alike: layouts are the library's choice for convolutions and
// constant weights, row-major for the activations of products.
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <dnnl.hpp>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "bench/peers/kernel_peer.h"

namespace {

using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

Type TypeOf(const dnnl::memory::desc& layout) {
#if DNNL_VERSION_MAJOR >= 3
  return layout.get_data_type();
#else
  return static_cast<Type>(layout.data.data_type);
#endif
}

}  // namespace

struct hone_peer_run {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  struct Step {
    dnnl::primitive primitive;
    std::unordered_map<int, dnnl::memory> arguments;
  };
  std::vector<Step> steps;  // one after the other
  int threads = 1;

  // N(0,1) in the given layout; what a block pads is random too, which costs nothing.
  dnnl::memory Random(const dnnl::memory::desc& layout) {
    dnnl::memory memory(layout, engine);
    std::minstd_rand random(1);
    if (TypeOf(layout) == Type::bf16) {
      // The upper half of a float of the same distribution.
      std::normal_distribution<float> normal;
      auto* data = static_cast<uint16_t*>(memory.get_data_handle());
      std::generate(data, data + layout.get_size() / sizeof(uint16_t), [&] {
        const float value = normal(random);
        uint32_t bits = 0;
        std::memcpy(&bits, &value, sizeof(bits));
        return static_cast<uint16_t>(bits >> 16);
      });
      return memory;
    }
    if (TypeOf(layout) != Type::f32) {
      auto* bytes = static_cast<uint8_t*>(memory.get_data_handle());
      std::generate(bytes, bytes + layout.get_size(), [&] { return random() & 15; });
      return memory;
    }
    std::normal_distribution<float> normal;
    auto* data = static_cast<float*>(memory.get_data_handle());
    std::generate(data, data + layout.get_size() / sizeof(float), [&] { return normal(random); });
    return memory;
  }
};

namespace {

// What a type of problem makes of the library's.
struct Types {
  Type input;
  Type weight;
  Type sum;  // what a product gives
};

Types TypesOf(const hone_peer_problem& p) {
  switch (p.type) {
    case HONE_PEER_F32:
      break;
    case HONE_PEER_U8S8:
      return {Type::u8, Type::s8, Type::s32};
    case HONE_PEER_BF16:
      return {Type::bf16, Type::bf16, Type::bf16};
  }
  return {Type::f32, Type::f32, Type::f32};
}

// Throws dnnl::error where the library has no such convolution.
void MakeConvolution(const hone_peer_problem& p, bool winograd, hone_peer_run& run) {
  const int64_t pad = p.kernel / 2;
  const int64_t out = (p.size + 2 * pad - p.kernel) / p.stride + 1;
  const dnnl::memory::desc x({1, p.channels, p.size, p.size}, TypesOf(p).input, Tag::any);
  const dnnl::memory::desc y({1, p.outputs, out, out}, TypesOf(p).input, Tag::any);
  dnnl::memory::dims shape = {p.outputs, p.channels / p.groups, p.kernel, p.kernel};
  if (p.groups > 1)
    shape = {p.groups, p.outputs / p.groups, p.channels / p.groups, p.kernel, p.kernel};
  const dnnl::memory::desc w(shape, TypesOf(p).weight, Tag::any);
  const dnnl::memory::dims strides = {p.stride, p.stride};
  const dnnl::memory::dims pads = {pad, pad};
  const auto kind =
      winograd ? dnnl::algorithm::convolution_winograd : dnnl::algorithm::convolution_direct;
  dnnl::primitive_attr attributes;
  std::unordered_map<int, dnnl::memory> arguments;
  if (p.type == HONE_PEER_U8S8) {
#if DNNL_VERSION_MAJOR >= 3
    attributes.set_scales_mask(DNNL_ARG_SRC, 0);
    const dnnl::memory scale({{1}, Type::f32, Tag::x}, run.engine);
    *static_cast<float*>(scale.get_data_handle()) = HONE_PEER_SCALE;
    arguments[DNNL_ARG_ATTR_SCALES | DNNL_ARG_SRC] = scale;
#else
    attributes.set_output_scales(0, {HONE_PEER_SCALE});
#endif
  }
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::convolution_forward::primitive_desc chosen(run.engine,
                                                         dnnl::prop_kind::forward_inference, kind,
                                                         x, w, y, strides, pads, pads, attributes);
#else
  const dnnl::convolution_forward::primitive_desc chosen(
      {dnnl::prop_kind::forward_inference, kind, x, w, y, strides, pads, pads}, attributes,
      run.engine);
#endif
  arguments[DNNL_ARG_SRC] = run.Random(chosen.src_desc());
  arguments[DNNL_ARG_WEIGHTS] = run.Random(chosen.weights_desc());
  arguments[DNNL_ARG_DST] = run.Random(chosen.dst_desc());
  run.steps.push_back({dnnl::convolution_forward(chosen), std::move(arguments)});
}

void MakeMatMul(const hone_peer_problem& p, hone_peer_run& run) {
  const bool constant = p.kind == HONE_PEER_MATMUL;
  const auto of = [&](int64_t rows, int64_t columns, Type type, bool any) {
    if (constant) return dnnl::memory::desc({rows, columns}, type, any ? Tag::any : Tag::ab);
    return dnnl::memory::desc({p.batch, rows, columns}, type, Tag::abc);
  };
  const dnnl::memory::desc x = of(p.m, p.k, TypesOf(p).input, false);
  const dnnl::memory::desc w = of(p.k, p.n, TypesOf(p).weight, constant);
  const dnnl::memory::desc y = of(p.m, p.n, TypesOf(p).sum, false);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc chosen(run.engine, x, w, y);
#else
  const dnnl::matmul::primitive_desc chosen({x, w, y}, run.engine);
#endif
  run.steps.push_back({dnnl::matmul(chosen),
                       {{DNNL_ARG_SRC, run.Random(chosen.src_desc())},
                        {DNNL_ARG_WEIGHTS, run.Random(chosen.weights_desc())},
                        {DNNL_ARG_DST, run.Random(chosen.dst_desc())}}});
}

void MakeInnerProduct(const hone_peer_problem& p, hone_peer_run& run) {
  const dnnl::memory::desc x({p.m, p.k}, TypesOf(p).input, Tag::ab);
  const dnnl::memory::desc w({p.n, p.k}, TypesOf(p).weight, Tag::any);
  const dnnl::memory::desc y({p.m, p.n}, TypesOf(p).sum, Tag::ab);
  const auto inference = dnnl::prop_kind::forward_inference;
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::inner_product_forward::primitive_desc chosen(run.engine, inference, x, w, y);
#else
  const dnnl::inner_product_forward::primitive_desc chosen({inference, x, w, y}, run.engine);
#endif
  run.steps.push_back({dnnl::inner_product_forward(chosen),
                       {{DNNL_ARG_SRC, run.Random(chosen.src_desc())},
                        {DNNL_ARG_WEIGHTS, run.Random(chosen.weights_desc())},
                        {DNNL_ARG_DST, run.Random(chosen.dst_desc())}}});
}

dnnl::memory::desc Rows(int64_t rows, int64_t columns) {
  return {{rows, columns}, Type::f32, Tag::ab};
}

// What is done to each value of a product.
void Append(dnnl::post_ops& ops, dnnl::algorithm kind, float alpha) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(kind, alpha, 0);
#else
  ops.append_eltwise(1, kind, alpha, 0);
#endif
}

void MakeGelu(const hone_peer_problem& p, hone_peer_run& run) {
  const dnnl::memory::desc x = Rows(p.m, p.k);
  const dnnl::memory::desc w({p.k, p.n}, Type::f32, Tag::any);
  const dnnl::memory::desc bias = Rows(1, p.n);
  const dnnl::memory::desc y = Rows(p.m, p.n);
  dnnl::post_ops ops;
  Append(ops, dnnl::algorithm::eltwise_gelu_erf, 0);
  dnnl::primitive_attr attributes;
  attributes.set_post_ops(ops);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc chosen(run.engine, x, w, bias, y, attributes);
#else
  const dnnl::matmul::primitive_desc chosen({x, w, bias, y}, attributes, run.engine);
#endif
  run.steps.push_back({dnnl::matmul(chosen),
                       {{DNNL_ARG_SRC, run.Random(x)},
                        {DNNL_ARG_WEIGHTS, run.Random(chosen.weights_desc())},
                        {DNNL_ARG_BIAS, run.Random(bias)},
                        {DNNL_ARG_DST, run.Random(y)}}});
}

void AddSoftmax(const dnnl::memory& x, const dnnl::memory& y, hone_peer_run& run) {
  const dnnl::memory::desc rows = x.get_desc();
  const auto inference = dnnl::prop_kind::forward_inference;
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::softmax_forward::primitive_desc chosen(
      run.engine, inference, dnnl::algorithm::softmax_accurate, rows, rows, 1);
#else
  const dnnl::softmax_forward::primitive_desc chosen({inference, rows, 1}, run.engine);
#endif
  run.steps.push_back({dnnl::softmax_forward(chosen), {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, y}}});
}

void MakeLayerNorm(const hone_peer_problem& p, hone_peer_run& run) {
  const dnnl::memory::desc rows = Rows(p.m, p.n);
  const dnnl::memory::desc row({p.n}, Type::f32, Tag::a);
  const auto inference = dnnl::prop_kind::forward_inference;
  const auto flags = dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::layer_normalization_forward::primitive_desc chosen(run.engine, inference, rows, rows,
                                                                 1e-5F, flags);
#else
  const dnnl::layer_normalization_forward::primitive_desc chosen({inference, rows, 1e-5F, flags},
                                                                 run.engine);
#endif
  run.steps.push_back({dnnl::layer_normalization_forward(chosen),
                       {{DNNL_ARG_SRC, run.Random(rows)},
                        {DNNL_ARG_SCALE, run.Random(row)},
                        {DNNL_ARG_SHIFT, run.Random(row)},
                        {DNNL_ARG_DST, run.Random(rows)}}});
}

// One product of batches; `scale` is applied to it.
void AddProduct(const dnnl::memory& x, const dnnl::memory& w, const dnnl::memory& y, float scale,
                hone_peer_run& run) {
  dnnl::primitive_attr attributes;
  if (scale != 1) {
    dnnl::post_ops ops;
    Append(ops, dnnl::algorithm::eltwise_linear, scale);
    attributes.set_post_ops(ops);
  }
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc chosen(run.engine, x.get_desc(), w.get_desc(), y.get_desc(),
                                            attributes);
#else
  const dnnl::matmul::primitive_desc chosen({x.get_desc(), w.get_desc(), y.get_desc()}, attributes,
                                            run.engine);
#endif
  run.steps.push_back(
      {dnnl::matmul(chosen), {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DST, y}}});
}

void MakeAttention(const hone_peer_problem& p, hone_peer_run& run) {
  const dnnl::memory::desc scores({p.batch, p.m, p.n}, Type::f32, Tag::abc);
  const dnnl::memory q = run.Random({{p.batch, p.m, p.k}, Type::f32, Tag::abc});
  const dnnl::memory k = run.Random({{p.batch, p.k, p.n}, Type::f32, Tag::acb});
  const dnnl::memory v = run.Random({{p.batch, p.n, p.k}, Type::f32, Tag::abc});
  const dnnl::memory y = run.Random(q.get_desc());
  const dnnl::memory s = run.Random(scores);
  const dnnl::memory rows(Rows(p.batch * p.m, p.n), run.engine, s.get_data_handle());
  AddProduct(q, k, s, 1 / std::sqrt(static_cast<float>(p.k)), run);
  AddSoftmax(rows, rows, run);
  AddProduct(s, v, y, 1, run);
  // The rows are a view: what owns their memory is in the step before.
}

constexpr const char* kAlgorithms[] = {"direct", "winograd", "inner product"};
constexpr int kWinograd = 1;
constexpr int kInnerProduct = 2;

// Throws dnnl::error where the library has no such primitive.
void Make(const hone_peer_problem& p, int algorithm, hone_peer_run& run) {
  switch (p.kind) {
    case HONE_PEER_CONVOLUTION:
      return MakeConvolution(p, algorithm == kWinograd, run);
    case HONE_PEER_MATMUL:
      if (algorithm == kInnerProduct) return MakeInnerProduct(p, run);
      return MakeMatMul(p, run);
    case HONE_PEER_BATCHED_MATMUL:
      return MakeMatMul(p, run);
    case HONE_PEER_GELU_MATMUL:
      return MakeGelu(p, run);
    case HONE_PEER_SOFTMAX: {
      const dnnl::memory x = run.Random(Rows(p.m, p.n));
      return AddSoftmax(x, run.Random(x.get_desc()), run);
    }
    case HONE_PEER_LAYER_NORM:
      return MakeLayerNorm(p, run);
    case HONE_PEER_ATTENTION:
      return MakeAttention(p, run);
  }
}

}  // namespace

const char* hone_peer_name(void) {
  static const std::string name = [] {
    const dnnl_version_t* version = dnnl_version();
    return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
           std::to_string(version->patch);
  }();
  return name.c_str();
}

const char* hone_peer_algorithm(int index) { return index < 3 ? kAlgorithms[index] : nullptr; }

hone_peer_run* hone_peer_make(const hone_peer_problem* problem, int algorithm, int threads) {
  if (algorithm == kWinograd && problem->kind != HONE_PEER_CONVOLUTION) return nullptr;
  if (algorithm == kInnerProduct && problem->kind != HONE_PEER_MATMUL) return nullptr;
  // How many threads there will be decides how a primitive is made.
  omp_set_num_threads(threads);
  try {
    auto* run = new hone_peer_run;
    run->threads = threads;
    try {
      Make(*problem, algorithm, *run);
      return run;
    } catch (const dnnl::error&) {
      delete run;
    }
  } catch (const dnnl::error&) {
  }
  return nullptr;
}

void hone_peer_execute(hone_peer_run* run) {
  omp_set_num_threads(run->threads);
  for (const hone_peer_run::Step& step : run->steps) {
    step.primitive.execute(run->stream, step.arguments);
  }
  run->stream.wait();
}

void hone_peer_free(hone_peer_run* run) { delete run; }
