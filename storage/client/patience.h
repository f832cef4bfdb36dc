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

  // What `open` makes of the moment at which the patience ends, and notes how long that took: not
  // of what failed before.
  template <typename Open>
  auto Try(const Open& open) {
    const auto start = std::chrono::steady_clock::now();
    const auto end = start + time();
    auto made = open(end);
    const auto now = std::chrono::steady_clock::now();
    if (made.ok() || now >= end) Note(now - start);
    return made;
  }

 private:
  const Duration least_, most_;
  std::atomic<Duration> time_;
};

}  // namespace strata::client
