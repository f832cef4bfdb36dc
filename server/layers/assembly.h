// A large answer in the making: by one thread, while the index goes on changing.
#pragma once

#include <atomic>
#include <string>
#include <string_view>

#include "server/layers/answer.h"
#include "server/layers/walk.h"

namespace strata::layers {

class Assembly {
 public:
  Assembly(std::string_view ns, std::string_view name, const Form& form)
      : key_(std::string(ns) + '/' + std::string(name)), form_(form) {}
  Assembly(const Assembly&) = delete;
  Assembly& operator=(const Assembly&) = delete;

  // "namespace/name" of the stream.
  const std::string& key() const { return key_; }
  const Form& form() const { return form_; }

  // Whether its answer is also right for who asks only now: not once something that went into it
  // has changed, nor after it is made. Any thread.
  bool is_open() const { return open_.load(std::memory_order_acquire); }

 private:
  friend class Index;

  void Close() { open_.store(false, std::memory_order_release); }

  const std::string key_;
  const Form form_;
  std::atomic<bool> open_ = true;

  // Read and written by who makes it, under the index's shared lock, and by the index's writer
  // under the exclusive one.
  Walk walk_;
  bool walking_ = false;
  bool begins_again_ = false;  // what was found is of no one revision any more
};

}  // namespace strata::layers
