// Tells ThreadSanitizer of absl's locks. Debian's absl is not instrumented, so without this what a
// mutex guards looks like a race. The linker (--wrap, deploy/cmake/HoneTargets.cmake) sends our
// calls of these functions here; each passes on to absl's own. Part of every program of the tsan
// preset, and of nothing else.
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

extern "C" {

void __tsan_acquire(void* address);
void __tsan_release(void* address);

// A method's object is its first argument (Itanium C++ ABI).
#define HONE_LOCKS(name)           \
  void __real_##name(void* self);  \
  void __wrap_##name(void* self) { \
    __real_##name(self);           \
    __tsan_acquire(self);          \
  }
#define HONE_UNLOCKS(name)         \
  void __real_##name(void* self);  \
  void __wrap_##name(void* self) { \
    __tsan_release(self);          \
    __real_##name(self);           \
  }
HONE_LOCKS(_ZN4absl7debian35Mutex4LockEv)
HONE_LOCKS(_ZN4absl7debian35Mutex10ReaderLockEv)
HONE_UNLOCKS(_ZN4absl7debian35Mutex6UnlockEv)
HONE_UNLOCKS(_ZN4absl7debian35Mutex12ReaderUnlockEv)
HONE_UNLOCKS(_ZN4absl7debian312Notification6NotifyEv)
HONE_LOCKS(_ZNK4absl7debian312Notification19WaitForNotificationEv)

// Waiting lets go of the mutex and takes it again.
void __real__ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE(void* self, const absl::Condition& c);
void __wrap__ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE(void* self, const absl::Condition& c) {
  __tsan_release(self);
  __real__ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE(self, c);
  __tsan_acquire(self);
}

bool __real__ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE(
    void* self, const absl::Condition& c, absl::Duration timeout);
bool __wrap__ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE(
    void* self, const absl::Condition& c, absl::Duration timeout) {
  __tsan_release(self);
  const bool met = __real__ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE(
      self, c, timeout);
  __tsan_acquire(self);
  return met;
}

bool __real__ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE(
    void* self, const absl::Condition& c, absl::Time deadline);
bool __wrap__ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE(
    void* self, const absl::Condition& c, absl::Time deadline) {
  __tsan_release(self);
  const bool met = __real__ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE(
      self, c, deadline);
  __tsan_acquire(self);
  return met;
}

bool __real__ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE(
    const void* self, absl::Duration timeout);
bool __wrap__ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE(
    const void* self, absl::Duration timeout) {
  const bool notified =
      __real__ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE(
          self, timeout);
  __tsan_acquire(const_cast<void*>(self));
  return notified;
}

}  // extern "C"
