// oneDNN as a peer, of version 2 and 3 alike: layouts are the library's choice for convolutions and
// constant weights, row-major for the activations of products.
#include <omp.h>

#include <algorithm>
#include <dnnl.hpp>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "bench/peers/kernel_peer.h"

namespace {

using Tag = dnnl::memory::format_tag;
using Type = dnnl::memory::data_type;

}  // namespace

struct hone_peer_run {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::primitive primitive;
  std::unordered_map<int, dnnl::memory> arguments;
  int threads = 1;

  // N(0,1) in the given layout; what a block pads is random too, which costs nothing.
  dnnl::memory Random(const dnnl::memory::desc& layout) {
    dnnl::memory memory(layout, engine);
    std::minstd_rand random(1);
    std::normal_distribution<float> normal;
    auto* data = static_cast<float*>(memory.get_data_handle());
    std::generate(data, data + layout.get_size() / sizeof(float), [&] { return normal(random); });
    return memory;
  }
};

namespace {

// Throws dnnl::error where the library has no such convolution.
void MakeConvolution(const hone_peer_problem& p, bool winograd, hone_peer_run& run) {
  const int64_t pad = p.kernel / 2;
  const int64_t out = (p.size + 2 * pad - p.kernel) / p.stride + 1;
  const dnnl::memory::desc x({1, p.channels, p.size, p.size}, Type::f32, Tag::any);
  const dnnl::memory::desc y({1, p.outputs, out, out}, Type::f32, Tag::any);
  dnnl::memory::dims shape = {p.outputs, p.channels / p.groups, p.kernel, p.kernel};
  if (p.groups > 1)
    shape = {p.groups, p.outputs / p.groups, p.channels / p.groups, p.kernel, p.kernel};
  const dnnl::memory::desc w(shape, Type::f32, Tag::any);
  const dnnl::memory::dims strides = {p.stride, p.stride};
  const dnnl::memory::dims pads = {pad, pad};
  const auto kind =
      winograd ? dnnl::algorithm::convolution_winograd : dnnl::algorithm::convolution_direct;
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::convolution_forward::primitive_desc chosen(
      run.engine, dnnl::prop_kind::forward_inference, kind, x, w, y, strides, pads, pads);
#else
  const dnnl::convolution_forward::primitive_desc chosen(
      {dnnl::prop_kind::forward_inference, kind, x, w, y, strides, pads, pads}, run.engine);
#endif
  run.primitive = dnnl::convolution_forward(chosen);
  run.arguments = {{DNNL_ARG_SRC, run.Random(chosen.src_desc())},
                   {DNNL_ARG_WEIGHTS, run.Random(chosen.weights_desc())},
                   {DNNL_ARG_DST, run.Random(chosen.dst_desc())}};
}

void MakeMatMul(const hone_peer_problem& p, hone_peer_run& run) {
  const bool constant = p.kind == HONE_PEER_MATMUL;
  const auto of = [&](int64_t rows, int64_t columns, bool any) {
    if (constant) {
      return dnnl::memory::desc({rows, columns}, Type::f32, any ? Tag::any : Tag::ab);
    }
    return dnnl::memory::desc({p.batch, rows, columns}, Type::f32, Tag::abc);
  };
  const dnnl::memory::desc x = of(p.m, p.k, false);
  const dnnl::memory::desc w = of(p.k, p.n, constant);
  const dnnl::memory::desc y = of(p.m, p.n, false);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc chosen(run.engine, x, w, y);
#else
  const dnnl::matmul::primitive_desc chosen({x, w, y}, run.engine);
#endif
  run.primitive = dnnl::matmul(chosen);
  run.arguments = {{DNNL_ARG_SRC, run.Random(chosen.src_desc())},
                   {DNNL_ARG_WEIGHTS, run.Random(chosen.weights_desc())},
                   {DNNL_ARG_DST, run.Random(chosen.dst_desc())}};
}

void MakeInnerProduct(const hone_peer_problem& p, hone_peer_run& run) {
  const dnnl::memory::desc x({p.m, p.k}, Type::f32, Tag::ab);
  const dnnl::memory::desc w({p.n, p.k}, Type::f32, Tag::any);
  const dnnl::memory::desc y({p.m, p.n}, Type::f32, Tag::ab);
  const auto inference = dnnl::prop_kind::forward_inference;
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::inner_product_forward::primitive_desc chosen(run.engine, inference, x, w, y);
#else
  const dnnl::inner_product_forward::primitive_desc chosen({inference, x, w, y}, run.engine);
#endif
  run.primitive = dnnl::inner_product_forward(chosen);
  run.arguments = {{DNNL_ARG_SRC, run.Random(chosen.src_desc())},
                   {DNNL_ARG_WEIGHTS, run.Random(chosen.weights_desc())},
                   {DNNL_ARG_DST, run.Random(chosen.dst_desc())}};
}

constexpr const char* kAlgorithms[] = {"direct", "winograd", "inner product"};
constexpr int kWinograd = 1;
constexpr int kInnerProduct = 2;

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
      if (problem->kind == HONE_PEER_CONVOLUTION) {
        MakeConvolution(*problem, algorithm == kWinograd, *run);
      } else if (algorithm == kInnerProduct) {
        MakeInnerProduct(*problem, *run);
      } else {
        MakeMatMul(*problem, *run);
      }
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
  run->primitive.execute(run->stream, run->arguments);
  run->stream.wait();
}

void hone_peer_free(hone_peer_run* run) { delete run; }
