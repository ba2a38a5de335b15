// FileLock: that at most one process writes a database, by flock on a file beside it that says who
// holds it. The kernel lets go when the process ends, however it ends; the file stays.
#pragma once

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

class FileLock {
 public:
  // FailedPrecondition, with what the holder wrote about itself, if another holds it; `what` names
  // in errors what is locked.
  static StatusOr<std::unique_ptr<FileLock>> Acquire(const std::string& path,
                                                     absl::string_view holder,
                                                     absl::string_view what);
  ~FileLock();

 private:
  explicit FileLock(int file) : file_(file) {}
  int file_;
};

// "process 123 (hone-tracker --db x)" of this process.
std::string DescribeThisProcess();

}  // namespace hone
