// How long an endpoint may take to be opened where another one could be tried instead.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

namespace strata::client {

// As long as its way is: twice what the last opening took, or was given and hasn't been enough, so
// that what fails for a long way alone doesn't fail for ever. Thread-safe.
class Patience {
 public:
  using Duration = std::chrono::steady_clock::duration;
  struct Bounds {
    Duration least, most;
  };

  explicit Patience(Bounds bounds)
      : least_(std::min(bounds.least, bounds.most)), most_(bounds.most), time_(least_) {}

  Duration time() const { return time_; }
  void Note(Duration took) { time_ = std::clamp(2 * took, least_, most_); }

 private:
  const Duration least_, most_;
  std::atomic<Duration> time_;
};

}  // namespace strata::client
