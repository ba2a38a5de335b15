/* How the C runtime reports failure: a code to branch on and one line for people. Every function
 * that can fail takes a hone_error* (may be null) and fills it only when it fails. */
#ifndef HONE_RUNTIME_ERROR_H_
#define HONE_RUNTIME_ERROR_H_

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hone_error_code {
  HONE_OK = 0,
  HONE_ERROR_IO = 1,          /* a file cannot be opened, read or mapped */
  HONE_ERROR_MALFORMED = 2,   /* bytes that are not what they should be: truncated, damaged */
  HONE_ERROR_UNSUPPORTED = 3, /* well formed, but for another machine, version or set of rules */
  HONE_ERROR_ARGUMENT = 4,    /* the caller asked for something that is not there */
  HONE_ERROR_NO_MEMORY = 5,
  HONE_ERROR_KERNEL = 6 /* a kernel returned something else than 0 */
} hone_error_code;

typedef struct hone_error {
  hone_error_code code;
  char message[256];
} hone_error;

/* Fills `error` when it is not null; returns `code`, so that callers can return the call. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
hone_error_code
hone_fail(hone_error* error, hone_error_code code, const char* format, ...);

#ifdef __cplusplus
}
#endif

#endif /* HONE_RUNTIME_ERROR_H_ */
