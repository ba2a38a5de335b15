#include "compiler/codegen/llvm_process.h"

namespace hone {

std::mutex& LlvmProcessMutex() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace hone
