#include "tests/chaos/small_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace hone {

StatusOr<std::unique_ptr<SmallDisk>> SmallDisk::Mount(const std::string& folder, int64_t bytes) {
  std::filesystem::create_directories(folder);
  const std::string size = absl::StrCat("size=", bytes);
  if (mount("hone-small-disk", folder.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, size.c_str()) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "no disk can be filled: a tmpfs cannot be mounted (", strerror(errno), "); only root can"));
  }
  return std::unique_ptr<SmallDisk>(new SmallDisk(folder));
}

SmallDisk::~SmallDisk() {
  // Lazily: a file of it may be open for a moment more.
  umount2(folder_.c_str(), MNT_DETACH);
}

void SmallDisk::Fill() {
  const int file = open(FillFile().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return;
  const std::string piece(1 << 20, 'x');
  size_t size = piece.size();
  while (size > 0) {
    if (write(file, piece.data(), size) < 0) size /= 2;
  }
  close(file);
}

void SmallDisk::Free() { unlink(FillFile().c_str()); }

int64_t SmallDisk::FreeBytes() const {
  std::error_code error;
  const auto space = std::filesystem::space(folder_, error);
  return error ? 0 : static_cast<int64_t>(space.available);
}

}  // namespace hone
