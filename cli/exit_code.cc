#include "cli/exit_code.h"

#include "base/check.h"

namespace hone {

ExitCode ExitCodeOf(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kOk;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnimplemented:
      return ExitCode::kBadInput;
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDataLoss:
      return ExitCode::kFile;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
      return ExitCode::kUnreachable;
    case absl::StatusCode::kCancelled:
      return ExitCode::kInterrupted;
    default:
      return ExitCode::kInternal;
  }
}

absl::string_view ExitCodeMeaning(ExitCode code) {
  switch (code) {
    case ExitCode::kOk:
      return "all is well";
    case ExitCode::kCheckFailed:
      return "the answer is no: numbers differ, or the doctor found something";
    case ExitCode::kBadInput:
      return "wrong usage, or an input that hone cannot take";
    case ExitCode::kFile:
      return "a file or the database is absent, unreadable, corrupt, in use, or the disk is full";
    case ExitCode::kUnreachable:
      return "no tracker or no device answers";
    case ExitCode::kInternal:
      return "a bug of hone's; please report it";
    case ExitCode::kInterrupted:
      return "interrupted; everything measured so far is kept";
  }
  HONE_CHECK(false) << "exit code " << static_cast<int>(code);
}

}  // namespace hone
