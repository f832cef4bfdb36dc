// What all users share, places or bytes, so that nobody takes all of it: API priority and fairness
// in small.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "lib/base/string_map.h"

namespace strata::base {

// Thread-safe, without locks: a request costs two additions.
//
// Whoever has something gets more while that is less than kFactor times what is left then: alone
// three quarters of all, two users three sevenths each, and so on. The rest is for whoever comes
// next, who gets what there is. Users whose names fall together in the table share a share, as in
// the queues of upstream (k8s.io/apiserver pkg/util/flowcontrol).
class Shares {
 public:
  static constexpr int64_t kFactor = 3;

  static constexpr int64_t kEndless = int64_t{1} << 60;

  explicit Shares(int64_t limit) : limit_(limit) {}

  // Given back at its end.
  class Share {
   public:
    Share(Share&& other) noexcept
        : shares_(std::exchange(other.shares_, nullptr)),
          of_user_(other.of_user_),
          amount_(other.amount_) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(shares_, other.shares_);
      std::swap(of_user_, other.of_user_);
      std::swap(amount_, other.amount_);
      return *this;
    }
    ~Share() {
      if (shares_ == nullptr) return;
      shares_->taken_.fetch_sub(amount_, std::memory_order_relaxed);
      of_user_->fetch_sub(amount_, std::memory_order_relaxed);
    }

   private:
    friend class Shares;
    Share(Shares& shares, std::atomic<int64_t>& of_user, int64_t amount)
        : shares_(&shares), of_user_(&of_user), amount_(amount) {}
    Shares* shares_;
    std::atomic<int64_t>* of_user_;
    int64_t amount_;
  };

  // Nothing if there isn't so much for the user. Whoever isn't to be turned away is `exempt`:
  // counted all the same.
  enum class Claim { kFair, kExempt };
  std::optional<Share> Take(std::string_view user, Claim claim, int64_t amount = 1) {
    std::atomic<int64_t>& of_user = by_user_[StringHash()(user) % by_user_.size()];
    const int64_t own = of_user.fetch_add(amount, std::memory_order_relaxed);
    const int64_t left = limit_ - amount - taken_.fetch_add(amount, std::memory_order_relaxed);
    Share share(*this, of_user, amount);
    const bool fits = left >= 0 && (own == 0 || own + amount <= kFactor * (left + 1));
    if (claim == Claim::kExempt || fits) return share;
    return std::nullopt;
  }

  int64_t taken() const { return taken_.load(std::memory_order_relaxed); }
  int64_t limit() const { return limit_; }

 private:
  const int64_t limit_;
  std::atomic<int64_t> taken_ = 0;
  std::array<std::atomic<int64_t>, 4096> by_user_{};
};

}  // namespace strata::base
