/* What a library that compare_kernels compares with has to offer: a shared object that exports
 * these functions. Plain C, so that two versions of one library can be held side by side, each
 * loaded with its own symbols. A peer may lay its operands out as it likes, and reorders weights
 * ahead. */
#ifndef HONE_BENCH_PEERS_KERNEL_PEER_H_
#define HONE_BENCH_PEERS_KERNEL_PEER_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hone_peer_kind {
  HONE_PEER_CONVOLUTION = 0,    /* square, one image, padding kernel/2 */
  HONE_PEER_MATMUL = 1,         /* the second operand is constant */
  HONE_PEER_BATCHED_MATMUL = 2, /* nothing is */
  HONE_PEER_GELU_MATMUL = 3,    /* as MATMUL, then a bias and GELU by erf */
  HONE_PEER_SOFTMAX = 4,        /* m rows of n */
  HONE_PEER_LAYER_NORM = 5,     /* m rows of n, with scale and shift */
  HONE_PEER_ATTENTION = 6       /* batch heads, m queries, n keys, k features; scaled */
} hone_peer_kind;

typedef enum hone_peer_type {
  HONE_PEER_F32 = 0,
  HONE_PEER_U8S8 = 1, /* u8 by s8: products give s32, convolutions u8 again, scaled by
                         HONE_PEER_SCALE and rounded */
  HONE_PEER_BF16 = 2  /* bf16 by bf16 gives bf16, summed in f32 */
} hone_peer_type;

#define HONE_PEER_SCALE 0.00390625f

typedef struct hone_peer_problem {
  hone_peer_kind kind;
  hone_peer_type type; /* other than F32: of CONVOLUTION and MATMUL alone */
  int64_t batch;
  int64_t channels, groups, size, outputs, kernel, stride; /* of convolutions */
  int64_t m, n, k;                                         /* of all others */
} hone_peer_problem;

typedef struct hone_peer_run hone_peer_run;

/* "oneDNN 2.6.3" */
const char* hone_peer_name(void);
/* The algorithms it has, numbered from 0: "direct", "winograd"; null after the last. */
const char* hone_peer_algorithm(int index);
/* Ready to run on random data with so many threads; null when the peer cannot. */
hone_peer_run* hone_peer_make(const hone_peer_problem* problem, int algorithm, int threads);
void hone_peer_execute(hone_peer_run* run);
void hone_peer_free(hone_peer_run* run);

#ifdef __cplusplus
}
#endif

#endif /* HONE_BENCH_PEERS_KERNEL_PEER_H_ */
