#include "rpc/sibling_program.h"

#include <cstdlib>
#include <filesystem>

namespace hone {

std::string SiblingProgram(const std::string& name) {
  if (const char* folder = std::getenv("HONE_BIN_DIR"); folder != nullptr) {
    return (std::filesystem::path(folder) / name).string();
  }
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (self.parent_path() / name).string();
}

}  // namespace hone
