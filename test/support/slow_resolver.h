// The system's resolver, which a test has hang for the name slow.test, and for which two.test has
// the addresses 127.0.0.2 and 127.0.0.1, in that order. Included by one file of a program: it
// stands in the place of libc's.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <dlfcn.h>
#include <netdb.h>

#include <string_view>

namespace strata::testing_support {

// Thread-safe.
class SlowResolver {
 public:
  // Of the questions that come then.
  void Hang(bool hang) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    hangs_ = hang;
  }
  // Those that hang go on.
  void Release() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    hangs_ = false;
    ++released_;
  }
  int asked() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return asked_;
  }
  void Ask() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    ++asked_;
    if (!hangs_) return;
    const auto goes_on = [this, before = released_]()
                             ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return released_ != before; };
    mu_.Await(absl::Condition(&goes_on));
  }

 private:
  absl::Mutex mu_;
  bool hangs_ ABSL_GUARDED_BY(mu_) = false;
  int released_ ABSL_GUARDED_BY(mu_) = 0;
  int asked_ ABSL_GUARDED_BY(mu_) = 0;
};

inline SlowResolver slow_resolver;

}  // namespace strata::testing_support

extern "C" int getaddrinfo(const char* host, const char* port, const addrinfo* hints,
                           addrinfo** list) {
  static const auto real =
      reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  const std::string_view name(host);
  if ((name != "slow.test" && name != "two.test") ||
      (hints != nullptr && (hints->ai_flags & AI_NUMERICHOST) != 0))
    return real(host, port, hints, list);
  if (name == "slow.test") {
    strata::testing_support::slow_resolver.Ask();
    return real("127.0.0.1", port, hints, list);
  }
  const int code = real("127.0.0.2", port, hints, list);
  return code != 0 ? code : real("127.0.0.1", port, hints, &(*list)->ai_next);
}
