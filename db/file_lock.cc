#include "db/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace hone {
namespace {

constexpr int kHolderLengthMax = 1000;

std::string ReadAll(int file) {
  std::string text(kHolderLengthMax, '\0');
  const ssize_t length = pread(file, text.data(), text.size(), 0);
  text.resize(length > 0 ? length : 0);
  return std::string(absl::StripAsciiWhitespace(text));
}

}  // namespace

StatusOr<std::unique_ptr<FileLock>> FileLock::Acquire(const std::string& path,
                                                      absl::string_view holder,
                                                      absl::string_view what) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("cannot write ", what, ": making the lock ", path, " failed (",
                     std::strerror(errno), "); choose a database in a directory you may write to"));
  }
  std::unique_ptr<FileLock> lock(new FileLock(file));
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error != EWOULDBLOCK) {
      return absl::InternalError(absl::StrCat("cannot lock ", path, ": ", std::strerror(error)));
    }
    const std::string other = ReadAll(file);
    return absl::FailedPreconditionError(
        absl::StrCat(what, " is in use by ", other.empty() ? "another process" : other,
                     "; wait for it, stop it, or choose another database"));
  }
  const std::string text = absl::StrCat(holder.substr(0, kHolderLengthMax - 1), "\n");
  if (ftruncate(file, 0) != 0 ||
      pwrite(file, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    // Only the name for others is lost: the lock itself holds.
    (void)ftruncate(file, 0);
  }
  return lock;
}

FileLock::~FileLock() {
  close(file_);  // lets go of the lock
}

std::string DescribeThisProcess() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  std::string command = text.str();
  while (!command.empty() && command.back() == '\0') command.pop_back();
  for (char& c : command) {
    if (c == '\0') c = ' ';
  }
  return absl::StrCat("process ", getpid(), " (", command, ")");
}

}  // namespace hone
