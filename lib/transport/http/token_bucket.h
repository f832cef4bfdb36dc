// A budget that refills with time.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>

#include "lib/base/clock.h"

namespace strata::http {

class TokenBucket {
 public:
  static constexpr double kEndless = std::numeric_limits<double>::infinity();

  // Starts full.
  TokenBucket(double burst, double per_second, base::MonotonicTime now)
      : burst_(burst), per_second_(per_second), tokens_(burst), refilled_(now) {}

  // False once the bucket is overdrawn; it stays so.
  bool Take(uint32_t tokens, base::MonotonicTime now) {
    Refill(now);
    if (tokens_ < tokens) {
      overdrawn_ = true;
      return false;
    }
    tokens_ -= tokens;
    return !overdrawn_;
  }

  // Gives tokens back, up to the burst.
  void Earn(double tokens) { tokens_ = std::min(tokens_ + tokens, burst_); }

 private:
  void Refill(base::MonotonicTime now) {
    if (now <= refilled_) return;
    Earn(std::chrono::duration<double>(now - refilled_).count() * per_second_);
    refilled_ = now;
  }

  const double burst_;
  const double per_second_;
  double tokens_;
  base::MonotonicTime refilled_;
  bool overdrawn_ = false;
};

}  // namespace strata::http
