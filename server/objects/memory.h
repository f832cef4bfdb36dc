// What all lists and watches together hold of bytes that are made but not sent.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace strata::objects {

// Thread-safe. Outlives its holds.
class Memory {
 public:
  explicit Memory(size_t most) : most_(most) {}

  // A share of it, given back at its end. Empty: there was no room.
  class Hold {
   public:
    Hold() = default;
    Hold(Hold&& other) noexcept
        : memory_(std::exchange(other.memory_, nullptr)), bytes_(other.bytes_) {}
    Hold& operator=(Hold&& other) noexcept {
      std::swap(memory_, other.memory_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Hold() {
      if (memory_ != nullptr) memory_->taken_ -= bytes_;
    }
    explicit operator bool() const { return memory_ != nullptr; }

   private:
    friend class Memory;
    Hold(Memory* memory, size_t bytes) : memory_(memory), bytes_(bytes) {}
    Memory* memory_ = nullptr;
    size_t bytes_ = 0;
  };

  Hold Take(size_t bytes) {
    if (taken_.fetch_add(bytes) + bytes <= most_) return {this, bytes};
    taken_ -= bytes;
    return {};
  }
  size_t taken() const { return taken_; }

 private:
  const size_t most_;
  std::atomic<size_t> taken_ = 0;
};

}  // namespace strata::objects
