#include "server/endpoints/work.h"

namespace strata::endpoints {

std::shared_ptr<Work> Work::Begin(std::shared_ptr<Call> call, const Lane& lane) {
  const std::shared_ptr<Work> work(new Work(std::move(call), lane));
  work->call_->OnEnd([weak = std::weak_ptr<Work>(work)](Call::End end) {
    const std::shared_ptr<Work> ended = weak.lock();
    if (ended == nullptr || ended->over_.exchange(true)) return;
    ended->stop_.request_stop();
    ended->lane_.withdraw(ended->ticket_);
    ended->call_->Abandon(end);
  });
  return work;
}

void Work::Then(Step step) {
  if (over_) return;
  std::function<void()> task = [self = shared_from_this(), step = std::move(step)] {
    if (self->over_) return;
    try {
      step(*self);
    } catch (...) {
      // Whoever ends the call on its own thread meanwhile answers it, and nobody else does.
      if (const auto call = self->Leave()) call->Guard([] { throw; });
    }
  };
  const uint64_t ticket = lane_.submit(task, {call_->user->name});
  ticket_ = ticket;
  if (ticket == 0) Answer([](Call& call) { call.Fail(api::TooManyRequests()); });
}

void Work::Answer(absl::FunctionRef<void(Call& call)> answer) {
  if (Leave() != nullptr) answer(*call_);
}

}  // namespace strata::endpoints
