// Time as a dependency, so that tests move it by hand.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <chrono>

namespace strata::base {

using MonotonicTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonotonicTime Now() const = 0;  // for deadlines and durations
  virtual WallTime WallNow() const = 0;   // for dates and certificates
};

class SystemClock final : public Clock {
 public:
  MonotonicTime Now() const override;
  WallTime WallNow() const override;
};

// Stands still until told otherwise. Thread-safe.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(WallTime start = WallTime(std::chrono::seconds(1'700'000'000)));
  MonotonicTime Now() const override ABSL_LOCKS_EXCLUDED(mu_);
  WallTime WallNow() const override ABSL_LOCKS_EXCLUDED(mu_);
  void Advance(std::chrono::nanoseconds by) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  mutable absl::Mutex mu_;
  MonotonicTime now_ ABSL_GUARDED_BY(mu_);
  WallTime wall_now_ ABSL_GUARDED_BY(mu_);
};

}  // namespace strata::base
