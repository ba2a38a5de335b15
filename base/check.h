// Assertions for our own bugs: HONE_CHECK prints what was violated, where, and aborts. Never used
// on input that a user, a file or a peer can influence; that is a Status.
#pragma once

#include <sstream>

namespace hone::internal {

// Collects the message of a failed check; aborts when destroyed.
class CheckFailure {
 public:
  CheckFailure(const char* file, int line, const char* condition);
  [[noreturn]] ~CheckFailure();
  std::ostream& stream() { return message_; }

 private:
  std::ostringstream message_;
};

}  // namespace hone::internal

#define HONE_CHECK(condition) \
  if (condition) [[likely]] { \
  } else                      \
    ::hone::internal::CheckFailure(__FILE__, __LINE__, #condition).stream()
