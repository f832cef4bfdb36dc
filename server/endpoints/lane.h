// Where work for requests is done that would hold up a connection's thread: net::WorkerPool, which
// this room doesn't know.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace strata::endpoints {

// Thread-safe. Users take turns in it.
struct Lane {
  struct Order {
    std::string_view user;
    size_t bytes = 0;  // an estimate of what the task takes
  };
  // 0, and the task untouched, if too much waits already.
  std::function<uint64_t(std::function<void()>& task, const Order& order)> submit;
  // Nobody wants a task any more that may still wait.
  std::function<void(uint64_t ticket)> withdraw;
};

}  // namespace strata::endpoints
