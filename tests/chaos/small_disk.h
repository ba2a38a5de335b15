// SmallDisk: a folder of a few MiB, to fill it up: a tmpfs of its own. For chaos, which must be
// root for it. Leaves nothing behind.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"

namespace hone {

class SmallDisk {
 public:
  // Mounts on the folder, which is made. FailedPrecondition, with the reason, where that cannot be.
  static StatusOr<std::unique_ptr<SmallDisk>> Mount(const std::string& folder, int64_t bytes);
  ~SmallDisk();

  // Leaves no byte of it free.
  void Fill();
  void Free();
  int64_t FreeBytes() const;

 private:
  explicit SmallDisk(std::string folder) : folder_(std::move(folder)) {}
  std::string FillFile() const { return folder_ + "/filled"; }
  const std::string folder_;
};

}  // namespace hone
