// Wraps bytes in an ELF shared object that exports them under one symbol, so that a compiled model
// is one file that links, opens with dlopen, and can be mapped by readers without either. Used by
// build_package; it needs no linker and no LLVM.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

struct SharedObjectOptions {
  std::string arch;    // as Target names it: "x86_64", "aarch64"
  std::string soname;  // may be empty
  std::string symbol;  // of the data
  // A program header of this type says where the data lies in the file.
  uint32_t segment_type = 0;
};

// The file's bytes. The data is mapped read-only, at a multiple of 64 bytes. Unimplemented for an
// architecture that has no 64-bit little-endian ELF form here.
StatusOr<std::string> MakeSharedObject(absl::string_view data, const SharedObjectOptions& options);

}  // namespace hone
