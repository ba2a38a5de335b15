/* Which of the instructions that generated code may use this CPU has, by LLVM's names: "avx2",
 * "fma", "dotprod". The one place that asks the CPU: the agent and `hone compile` describe the
 * machine with it, the model executor checks it before running code made elsewhere. Reads no file.
 */
#ifndef HONE_RUNTIME_CPU_FEATURES_H_
#define HONE_RUNTIME_CPU_FEATURES_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hone_cpu_arch {
  HONE_CPU_OTHER = 0,
  HONE_CPU_X86_64 = 1,
  HONE_CPU_AARCH64 = 2
} hone_cpu_arch;

#define HONE_CPU_WORD_COUNT 7

/* What a CPU says of itself. The meaning of a word is in cpu_features.c. */
typedef struct hone_cpu {
  hone_cpu_arch arch;
  uint64_t words[HONE_CPU_WORD_COUNT];
} hone_cpu;

/* The CPU that this runs on. Instructions whose registers the system does not save are not there.
 */
hone_cpu hone_cpu_read(void);

/* The names of all features that `cpu` has, sorted: *name is the `index`-th; 0 when there are no
 * more. */
int hone_cpu_feature(const hone_cpu* cpu, int index, const char** name);

/* Writes those of `needed` ("avx2,fma") that `cpu` lacks, in the same form, zero-terminated and cut
 * at `size`; returns how many. A name that this library does not know counts as lacking. */
int hone_cpu_missing(const hone_cpu* cpu, const char* needed, char* missing, size_t size);

#ifdef __cplusplus
}
#endif

#endif /* HONE_RUNTIME_CPU_FEATURES_H_ */
