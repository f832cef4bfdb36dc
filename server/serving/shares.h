// Places that all users share, so that nobody takes all of them: API priority and fairness in
// small.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "lib/base/string_map.h"

namespace strata::serving {

// Thread-safe, without locks: a request costs two additions.
//
// Whoever has places gets another one while they are fewer than kFactor times those that are free:
// alone three quarters of all, two users three sevenths each, and so on. The rest is for whoever
// comes next. Users whose names fall together in the table share a share, as in the queues of
// upstream (k8s.io/apiserver pkg/util/flowcontrol).
class Shares {
 public:
  static constexpr int kFactor = 3;

  // 0: there is no end of them.
  explicit Shares(int limit) : limit_(limit) {}

  // Given back at its end.
  class Place {
   public:
    Place(Place&& other) noexcept
        : shares_(std::exchange(other.shares_, nullptr)), of_user_(other.of_user_) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(shares_, other.shares_);
      std::swap(of_user_, other.of_user_);
      return *this;
    }
    ~Place() {
      if (shares_ == nullptr) return;
      shares_->taken_.fetch_sub(1, std::memory_order_relaxed);
      of_user_->fetch_sub(1, std::memory_order_relaxed);
    }

   private:
    friend class Shares;
    Place(Shares& shares, std::atomic<int>& of_user) : shares_(&shares), of_user_(&of_user) {}
    Shares* shares_;
    std::atomic<int>* of_user_;
  };

  // Nothing if there is none for the user. Whoever isn't to be turned away is `exempt`: counted
  // all the same.
  enum class Claim { kFair, kExempt };
  std::optional<Place> Take(std::string_view user, Claim claim) {
    std::atomic<int>& of_user = by_user_[base::StringHash()(user) % by_user_.size()];
    const int own = of_user.fetch_add(1, std::memory_order_relaxed);
    const int all = taken_.fetch_add(1, std::memory_order_relaxed);
    Place place(*this, of_user);
    if (claim == Claim::kExempt || limit_ == 0 || own < kFactor * (limit_ - all)) return place;
    return std::nullopt;
  }

  int taken() const { return taken_.load(std::memory_order_relaxed); }

 private:
  const int limit_;
  std::atomic<int> taken_ = 0;
  std::array<std::atomic<int>, 4096> by_user_{};
};

}  // namespace strata::serving
