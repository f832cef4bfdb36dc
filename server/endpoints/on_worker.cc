#include "server/endpoints/on_worker.h"

#include <atomic>
#include <utility>

namespace strata::endpoints {

void RunFor(const std::shared_ptr<Call>& call, const Lane& workers, std::function<void()> task) {
  // Who comes first has the call: the worker, or its end while it waits for one.
  struct Turn {
    std::atomic<bool> taken = false;
    uint64_t ticket = 0;
  };
  const auto turn = std::make_shared<Turn>();
  call->OnEnd([&workers, turn, weak = std::weak_ptr<Call>(call)](Call::End end) {
    if (turn->taken.exchange(true)) return;
    const std::shared_ptr<Call> ended = weak.lock();
    workers.withdraw(turn->ticket);
    if (ended != nullptr) ended->Abandon(end);
  });
  if (turn->taken) return;
  std::function<void()> run = [call, turn, task = std::move(task)] {
    if (!turn->taken.exchange(true)) call->Guard(task);
  };
  turn->ticket = workers.submit(run, {call->user->name});
  if (turn->ticket == 0 && !turn->taken.exchange(true)) call->Fail(api::TooManyRequests());
}

}  // namespace strata::endpoints
