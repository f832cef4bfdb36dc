// What all users share, places or bytes, so that nobody takes all of it: API priority and fairness
// in small.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "lib/base/limit.h"
#include "lib/base/string_map.h"

namespace strata::base {

// Thread-safe, without locks: a request costs three additions.
//
// Whoever has something gets more while that is less than kFactor times what is left then: alone
// three quarters of all, two users three sevenths each, and so on. The rest is for whoever comes
// next, who gets what there is. Each user has a place in two tables, and what he has is the lesser
// of the two: only users whose names fall together with others' in both share a share, as those in
// the queues of upstream do (k8s.io/apiserver pkg/util/flowcontrol).
class Shares {
 public:
  static constexpr int64_t kFactor = 3;

  static constexpr int64_t kEndless = int64_t{1} << 60;

  explicit Shares(const Limit& limit) : limit_(limit) {}

  // In each table; what falls together in one doesn't in the other.
  static std::array<size_t, 2> PlacesOf(std::string_view user) {
    const size_t hash = StringHash()(user);
    return {hash % kPlaces, (hash >> 32) % kPlaces};
  }

  // Given back at its end.
  class Share {
   public:
    Share(Share&& other) noexcept
        : shares_(std::exchange(other.shares_, nullptr)),
          places_(other.places_),
          amount_(other.amount_) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(shares_, other.shares_);
      std::swap(places_, other.places_);
      std::swap(amount_, other.amount_);
      return *this;
    }
    ~Share() {
      if (shares_ == nullptr) return;
      shares_->taken_.fetch_sub(amount_, std::memory_order_relaxed);
      for (auto* place : places_) place->fetch_sub(amount_, std::memory_order_relaxed);
    }

   private:
    friend class Shares;
    using Places = std::array<std::atomic<int64_t>*, 2>;
    Share(Shares& shares, const Places& places, int64_t amount)
        : shares_(&shares), places_(places), amount_(amount) {}
    Shares* shares_;
    Places places_;
    int64_t amount_;
  };

  // Nothing if there isn't so much for the user. Whoever isn't to be turned away is `exempt`:
  // counted all the same.
  enum class Claim { kFair, kExempt };
  std::optional<Share> Take(std::string_view user, Claim claim, int64_t amount = 1) {
    const auto [first, second] = PlacesOf(user);
    const Share::Places places = {&by_user_[0][first], &by_user_[1][second]};
    const int64_t own = std::min(places[0]->fetch_add(amount, std::memory_order_relaxed),
                                 places[1]->fetch_add(amount, std::memory_order_relaxed));
    const int64_t held = taken_.fetch_add(amount, std::memory_order_relaxed);
    const int64_t left = static_cast<int64_t>(limit_.Of(static_cast<size_t>(held))) - held - amount;
    Share share(*this, places, amount);
    const bool fits = left >= 0 && (own == 0 || own + amount <= kFactor * (left + 1));
    if (claim == Claim::kExempt || fits) return share;
    return std::nullopt;
  }

  int64_t taken() const { return taken_.load(std::memory_order_relaxed); }
  // What there may be where there is nothing.
  int64_t limit() const { return static_cast<int64_t>(limit_.Of(0)); }

 private:
  static constexpr size_t kPlaces = 4096;  // of a table

  const Limit limit_;
  std::atomic<int64_t> taken_ = 0;
  std::array<std::array<std::atomic<int64_t>, kPlaces>, 2> by_user_{};
};

}  // namespace strata::base
