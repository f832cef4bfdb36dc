// What workers do for one call, a step at a time, and leave when nobody needs it any more.
#pragma once

#include <absl/functional/function_ref.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <utility>

#include "server/endpoints/call.h"
#include "server/endpoints/lane.h"

namespace strata::endpoints {

// Thread-safe; one step at a time. The lane outlives it.
class Work : public std::enable_shared_from_this<Work> {
 public:
  using Step = std::function<void(Work& work)>;

  // On the connection's thread.
  static std::shared_ptr<Work> Begin(std::shared_ptr<Call> call, const Lane& lane);

  // Has a worker do it, unless the call is over. If there is no room, the call fails.
  void Then(Step step);

  const Call& call() const { return *call_; }
  std::stop_token stop() const { return stop_.get_token(); }

  // For who goes on after Leave, when nobody stops it here any more.
  const std::stop_source& stop_source() const { return stop_; }

  // Answers the call, if nobody has and its time isn't over: once.
  void Answer(absl::FunctionRef<void(Call& call)> answer);

  // The call, which the caller answers from now on; null if that isn't needed any more.
  std::shared_ptr<Call> Leave() { return over_.exchange(true) ? nullptr : call_; }

 private:
  Work(std::shared_ptr<Call> call, const Lane& lane) : call_(std::move(call)), lane_(lane) {}

  const std::shared_ptr<Call> call_;
  const Lane& lane_;
  std::stop_source stop_;
  std::atomic<bool> over_ = false;
  std::atomic<uint64_t> ticket_ = 0;
};

}  // namespace strata::endpoints
