#include "runtime/error.h"

#include <stdarg.h>
#include <stdio.h>

hone_error_code hone_fail(hone_error* error, hone_error_code code, const char* format, ...) {
  if (error != NULL) {
    error->code = code;
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
  }
  return code;
}
