#include "server/endpoints/pieces.h"

#include <absl/base/thread_annotations.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "lib/base/mutex.h"

namespace strata::endpoints {
namespace {

using Rest = http::Body::Rest;

// What the body, on its connection's thread, and a worker share.
class Making : public std::enable_shared_from_this<Making> {
 public:
  Making(NextPiece next, std::stop_source stop, std::shared_ptr<Call> call, const Lane& lane)
      : next_(std::move(next)), stop_(std::move(stop)), call_(std::move(call)), lane_(lane) {}

  // Has a worker make the next piece.
  void Order() ABSL_LOCKS_EXCLUDED(mu_) {
    std::function<void()> task = [self = shared_from_this()] { self->Make(); };
    const uint64_t ticket = lane_.submit(task, {call_->user->name});
    base::MutexLock lock(&mu_);
    ticket_ = ticket;
    if (ticket == 0) ready_ = base::ResourceExhaustedError("too much waits for workers");
  }

  // The piece that was ordered; nothing: it isn't ready, and the call is resumed when it is.
  std::optional<base::StatusOr<std::string>> Take() ABSL_LOCKS_EXCLUDED(mu_) {
    base::MutexLock lock(&mu_);
    waited_for_ = !ready_;
    return std::exchange(ready_, std::nullopt);
  }

  void GiveUp() ABSL_LOCKS_EXCLUDED(mu_) {
    stop_.request_stop();
    uint64_t ticket = 0;
    {
      base::MutexLock lock(&mu_);
      given_up_ = true;
      ticket = ticket_;
    }
    lane_.withdraw(ticket);
  }

 private:
  void Make() ABSL_LOCKS_EXCLUDED(mu_) {
    {
      base::MutexLock lock(&mu_);
      if (given_up_) return;
    }
    base::StatusOr<std::string> piece = base::InternalError("it couldn't be made");
    call_->Guard([&] { piece = next_(); });
    bool resume = false;
    {
      base::MutexLock lock(&mu_);
      ready_ = std::move(piece);
      resume = std::exchange(waited_for_, false);
    }
    if (resume) call_->Resume();
  }

  const NextPiece next_;  // of one worker at a time: a piece is ordered when the last was taken
  std::stop_source stop_;
  const std::shared_ptr<Call> call_;
  const Lane& lane_;

  base::Mutex mu_;
  std::optional<base::StatusOr<std::string>> ready_ ABSL_GUARDED_BY(mu_);
  uint64_t ticket_ ABSL_GUARDED_BY(mu_) = 0;
  bool waited_for_ ABSL_GUARDED_BY(mu_) = false;
  bool given_up_ ABSL_GUARDED_BY(mu_) = false;
};

class Pieces final : public http::Body {
 public:
  Pieces(std::string first, std::shared_ptr<Making> making)
      : piece_(std::move(first)), making_(std::move(making)) {}
  ~Pieces() override { making_->GiveUp(); }

  Piece Next(std::span<char> buffer) override {
    // Not before the answer has begun: what a worker throws then breaks it off, and is no answer.
    if (!std::exchange(begun_, true)) making_->Order();
    if (at_ == piece_.size()) {
      auto next = making_->Take();
      if (!next) return {0, Rest::kLater};
      if (!next->ok()) return {0, Rest::kBroken};
      piece_ = **std::move(next);
      at_ = 0;
      if (piece_.empty()) return {0, Rest::kNone};
      making_->Order();
    }
    const size_t bytes = std::min(buffer.size(), piece_.size() - at_);
    std::memcpy(buffer.data(), piece_.data() + at_, bytes);
    at_ += bytes;
    return {bytes, Rest::kMore};
  }

 private:
  std::string piece_;
  size_t at_ = 0;
  bool begun_ = false;
  const std::shared_ptr<Making> making_;
};

}  // namespace

std::unique_ptr<http::Body> BodyOf(std::string first, NextPiece next, std::stop_source stop,
                                   std::shared_ptr<Call> call, const Lane& lane) {
  return std::make_unique<Pieces>(
      std::move(first),
      std::make_shared<Making>(std::move(next), std::move(stop), std::move(call), lane));
}

}  // namespace strata::endpoints
