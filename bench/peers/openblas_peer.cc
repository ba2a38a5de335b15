// OpenBLAS as a peer, of products only: row-major operands as an application has them.
#include <cblas.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "bench/peers/kernel_peer.h"

extern "C" void openblas_set_num_threads(int threads);
extern "C" char* openblas_get_config(void);

struct hone_peer_run {
  hone_peer_problem problem;
  int threads;
  std::vector<float> x, w, y;
};

const char* hone_peer_name(void) {
  static const std::string name = [] {
    const std::string config = openblas_get_config();  // "OpenBLAS 0.3.21 NO_LAPACKE ..."
    return config.substr(0, config.find(' ', config.find(' ') + 1));
  }();
  return name.c_str();
}

const char* hone_peer_algorithm(int index) { return index == 0 ? "direct" : nullptr; }

hone_peer_run* hone_peer_make(const hone_peer_problem* problem, int algorithm, int threads) {
  const bool product =
      problem->kind == HONE_PEER_MATMUL || problem->kind == HONE_PEER_BATCHED_MATMUL;
  if (!product || problem->type != HONE_PEER_F32) return nullptr;
  const hone_peer_problem& p = *problem;
  auto* run = new hone_peer_run{.problem = p, .threads = threads};
  std::minstd_rand random(1);
  std::normal_distribution<float> normal;
  const auto fill = [&](std::vector<float>& values, int64_t count) {
    values.resize(count);
    std::generate(values.begin(), values.end(), [&] { return normal(random); });
  };
  fill(run->x, p.batch * p.m * p.k);
  fill(run->w, p.batch * p.k * p.n);
  fill(run->y, p.batch * p.m * p.n);
  return run;
}

void hone_peer_execute(hone_peer_run* run) {
  openblas_set_num_threads(run->threads);
  const hone_peer_problem& p = run->problem;
  const auto m = static_cast<int>(p.m);
  const auto n = static_cast<int>(p.n);
  const auto k = static_cast<int>(p.k);
  for (int64_t b = 0; b < p.batch; ++b) {
    const float* x = run->x.data() + b * p.m * p.k;
    const float* w = run->w.data() + b * p.k * p.n;
    float* y = run->y.data() + b * p.m * p.n;
    if (m == 1) {
      cblas_sgemv(CblasRowMajor, CblasTrans, k, n, 1, w, n, x, 1, 0, y, 1);
    } else {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, x, k, w, n, 0, y, n);
    }
  }
}

void hone_peer_free(hone_peer_run* run) { delete run; }
