/* As much of ONNX Runtime's C API as onnxruntime_peer.cc calls. Its packages bring the library
 * without headers; the API is one table of functions, to whose end new versions append, so that the
 * places below are those of every version since 1.0. They are those of struct OrtApi in
 * include/onnxruntime/core/session/onnxruntime_c_api.h, counted from 0; the library itself asserts
 * at its build that ReleaseCustomOpDomain, which follows the last of them, is at 101. */
#ifndef HONE_BENCH_PEERS_ONNXRUNTIME_API_H_
#define HONE_BENCH_PEERS_ONNXRUNTIME_API_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct OrtEnv OrtEnv;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtStatus OrtStatus; /* null: it went well */
typedef struct OrtValue OrtValue;

enum {
  ORT_TABLE_VERSION = 1,
  ORT_LOG_ERRORS = 3,
  ORT_OPTIMIZE_ALL = 99,
  ORT_FLOAT = 1,
  ORT_ARENA_ALLOCATOR = 1,
  ORT_DEFAULT_MEMORY = 0
};

typedef struct hone_ort_api {
  void* place_0_to_1[2];
  const char* (*GetErrorMessage)(const OrtStatus*);
  OrtStatus* (*CreateEnv)(int log_level, const char* log_name, OrtEnv** out);
  void* place_4_to_7[4];
  OrtStatus* (*CreateSessionFromArray)(const OrtEnv*, const void* model, size_t bytes,
                                       const OrtSessionOptions*, OrtSession** out);
  OrtStatus* (*Run)(OrtSession*, const void* run_options, const char* const* input_names,
                    const OrtValue* const* inputs, size_t input_count,
                    const char* const* output_names, size_t output_count, OrtValue** outputs);
  OrtStatus* (*CreateSessionOptions)(OrtSessionOptions** out);
  void* place_11_to_22[12];
  OrtStatus* (*SetSessionGraphOptimizationLevel)(OrtSessionOptions*, int level);
  OrtStatus* (*SetIntraOpNumThreads)(OrtSessionOptions*, int threads);
  OrtStatus* (*SetInterOpNumThreads)(OrtSessionOptions*, int threads);
  void* place_26_to_48[23];
  OrtStatus* (*CreateTensorWithDataAsOrtValue)(const OrtMemoryInfo*, void* data, size_t bytes,
                                               const int64_t* shape, size_t rank, int type,
                                               OrtValue** out);
  void* place_50_to_68[19];
  OrtStatus* (*CreateCpuMemoryInfo)(int allocator, int memory, OrtMemoryInfo** out);
  void* place_70_to_91[22];
  void (*ReleaseEnv)(OrtEnv*);
  void (*ReleaseStatus)(OrtStatus*);
  void (*ReleaseMemoryInfo)(OrtMemoryInfo*);
  void (*ReleaseSession)(OrtSession*);
  void (*ReleaseValue)(OrtValue*);
  void* place_97_to_99[3];
  void (*ReleaseSessionOptions)(OrtSessionOptions*);
  void (*ReleaseCustomOpDomain)(void*);
} hone_ort_api;

typedef struct OrtApiBase {
  const hone_ort_api* (*GetApi)(uint32_t version);
  const char* (*GetVersionString)(void);
} OrtApiBase;

const OrtApiBase* OrtGetApiBase(void);

#ifdef __cplusplus
}
static_assert(offsetof(hone_ort_api, ReleaseCustomOpDomain) == 101 * sizeof(void*));
#endif

#endif /* HONE_BENCH_PEERS_ONNXRUNTIME_API_H_ */
