// Tells ThreadSanitizer what absl's mutexes order. Debian's abseil isn't built for it, so that
// every access under a mutex would look like a race. Linked into all programs of the tsan preset,
// where --wrap leads the calls here (cmake/Compiler.cmake). What orders less than this says isn't
// reported; what nothing orders still is.
#include <absl/synchronization/mutex.h>
#include <absl/synchronization/notification.h>

extern "C" {

void __tsan_acquire(void* address);
void __tsan_release(void* address);
void AnnotateIgnoreSyncBegin(const char* file, int line);
void AnnotateIgnoreSyncEnd(const char* file, int line);

// NAME is the mangled method, with its parameters and the names by which they are passed on.
#define STRATA_WRAP(RESULT, NAME, BEFORE, AFTER, PARAMETERS, ...)            \
  RESULT __real_##NAME PARAMETERS;                                           \
  RESULT __wrap_##NAME PARAMETERS {                                          \
    BEFORE(self);                                                            \
    const Result<RESULT> result([&] { return __real_##NAME(__VA_ARGS__); }); \
    AFTER(self);                                                             \
    return result.value();                                                   \
  }
}

namespace {

using absl::Condition;
using absl::Duration;
using absl::Mutex;
using absl::Notification;
using absl::Time;

void Nothing(const void*) {}
void Acquire(const void* address) {
  __tsan_acquire(const_cast<void*>(address));
}
void Release(const void* address) {
  __tsan_release(const_cast<void*>(address));
}
// Whoever notifies evaluates the condition of those who wait, which is a read of the notification,
// by code in abseil's header, before it wakes them. What orders it before all that they do then
// isn't seen: they may end the notification.
void BeginNotify(const void* address) {
  Release(address);
  AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
}
void EndNotify(const void*) {
  AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
}

// A condition is evaluated inside of abseil, under the mutex, by the thread that waits or by one
// that unlocks.
class Ordering {
 public:
  Ordering(Mutex* mutex, const Condition& condition)
      : mutex_(mutex), inner_(condition), outer_(&Eval, this) {}
  const Condition& condition() const { return outer_; }

 private:
  static bool Eval(Ordering* self) {
    Acquire(self->mutex_);
    const bool result = self->inner_.Eval();
    Release(self->mutex_);
    return result;
  }

  Mutex* const mutex_;
  const Condition& inner_;
  const Condition outer_;
};

template <typename T>
class Result {
 public:
  template <typename Call>
  explicit Result(Call call) : value_(call()) {}
  T value() const { return value_; }

 private:
  const T value_;
};
template <>
class Result<void> {
 public:
  template <typename Call>
  explicit Result(Call call) {
    call();
  }
  void value() const {}
};

}  // namespace

extern "C" {

STRATA_WRAP(void, _ZN4absl7debian35Mutex4LockEv, Nothing, Acquire, (Mutex * self), self)
STRATA_WRAP(bool, _ZN4absl7debian35Mutex7TryLockEv, Nothing, Acquire, (Mutex * self), self)
STRATA_WRAP(void, _ZN4absl7debian35Mutex6UnlockEv, Release, Nothing, (Mutex * self), self)
STRATA_WRAP(void, _ZN4absl7debian35Mutex10ReaderLockEv, Nothing, Acquire, (Mutex * self), self)
STRATA_WRAP(void, _ZN4absl7debian35Mutex12ReaderUnlockEv, Release, Nothing, (Mutex * self), self)
STRATA_WRAP(void, _ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE, Release, Acquire,
            (Mutex * self, const Condition& condition), self, Ordering(self, condition).condition())
STRATA_WRAP(bool, _ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE, Release,
            Acquire, (Mutex * self, const Condition& condition, Duration timeout), self,
            Ordering(self, condition).condition(), timeout)
STRATA_WRAP(bool, _ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE, Release,
            Acquire, (Mutex * self, const Condition& condition, Time deadline), self,
            Ordering(self, condition).condition(), deadline)
STRATA_WRAP(void, _ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE, Release, Acquire,
            (Mutex * self, const Condition& condition), self, Ordering(self, condition).condition())
STRATA_WRAP(bool, _ZN4absl7debian35Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE,
            Release, Acquire, (Mutex * self, const Condition& condition, Duration timeout), self,
            Ordering(self, condition).condition(), timeout)
STRATA_WRAP(bool, _ZN4absl7debian35Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE, Release,
            Acquire, (Mutex * self, const Condition& condition, Time deadline), self,
            Ordering(self, condition).condition(), deadline)
STRATA_WRAP(void, _ZN4absl7debian312Notification6NotifyEv, BeginNotify, EndNotify,
            (Notification * self), self)
STRATA_WRAP(void, _ZNK4absl7debian312Notification19WaitForNotificationEv, Nothing, Acquire,
            (const Notification* self), self)
STRATA_WRAP(bool, _ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE,
            Nothing, Acquire, (const Notification* self, Duration timeout), self, timeout)
STRATA_WRAP(bool, _ZNK4absl7debian312Notification31WaitForNotificationWithDeadlineENS0_4TimeE,
            Nothing, Acquire, (const Notification* self, Time deadline), self, deadline)
}
