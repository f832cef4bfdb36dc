#include "lib/base/clock.h"

namespace strata::base {

MonotonicTime SystemClock::Now() const {
  return std::chrono::steady_clock::now();
}
WallTime SystemClock::WallNow() const {
  return std::chrono::system_clock::now();
}

FakeClock::FakeClock(WallTime start) : now_(std::chrono::hours(1)), wall_now_(start) {}

MonotonicTime FakeClock::Now() const {
  absl::MutexLock lock(&mu_);
  return now_;
}

WallTime FakeClock::WallNow() const {
  absl::MutexLock lock(&mu_);
  return wall_now_;
}

void FakeClock::Advance(std::chrono::nanoseconds by) {
  absl::MutexLock lock(&mu_);
  now_ += std::chrono::duration_cast<MonotonicTime::duration>(by);
  wall_now_ += std::chrono::duration_cast<WallTime::duration>(by);
}

}  // namespace strata::base
