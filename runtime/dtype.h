/* Element types by the names that manifests and models use: "f32", "i64", ... The C side of
 * compiler/ir/dtype. */
#ifndef HONE_RUNTIME_DTYPE_H_
#define HONE_RUNTIME_DTYPE_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of one element; 0 for a name that is no element type. */
int64_t hone_dtype_bytes(const char* dtype);

#ifdef __cplusplus
}
#endif

#endif /* HONE_RUNTIME_DTYPE_H_ */
