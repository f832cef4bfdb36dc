// How many bytes all connections hold together, and how many they may.
#pragma once

#include <atomic>
#include <cstddef>

#include "lib/base/limit.h"

namespace strata::http {

// Thread-safe, without locks.
class ByteBudget {
 public:
  explicit ByteBudget(const base::Limit& limit) : limit_(limit) {}
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  // Counts them, whether they fit or not.
  void Add(size_t bytes) { used_.fetch_add(bytes, std::memory_order_relaxed); }
  // Counts them; false, and nothing is counted, if they don't fit.
  bool Take(size_t bytes) {
    const size_t used = used_.fetch_add(bytes, std::memory_order_relaxed);
    if (used + bytes <= limit_.Of(used)) return true;
    used_.fetch_sub(bytes, std::memory_order_relaxed);
    refused_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  void Give(size_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }

  size_t limit() const { return limit_.most(); }
  size_t used() const { return used_.load(std::memory_order_relaxed); }
  // How often something didn't fit.
  size_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  const base::Limit limit_;
  std::atomic<size_t> used_ = 0, refused_ = 0;
};

// What one connection has of a budget. Belongs to its thread.
class ByteShare {
 public:
  // Its first `let_in` bytes are counted like others, but let in where there is no room.
  ByteShare(ByteBudget& budget, size_t let_in) : budget_(budget), let_in_(let_in) {}
  ~ByteShare() { budget_.Give(bytes_); }
  ByteShare(const ByteShare&) = delete;
  ByteShare& operator=(const ByteShare&) = delete;

  // It has so many now; false, and it has what it had, if those that are more don't fit.
  bool Set(size_t bytes) {
    if (bytes < bytes_) {
      budget_.Give(bytes_ - bytes);
    } else if (bytes > bytes_) {
      if (bytes <= let_in_) {
        budget_.Add(bytes - bytes_);
      } else if (!budget_.Take(bytes - bytes_)) {
        return false;
      }
    }
    bytes_ = bytes;
    return true;
  }
  size_t bytes() const { return bytes_; }

 private:
  ByteBudget& budget_;
  const size_t let_in_;
  size_t bytes_ = 0;
};

}  // namespace strata::http
