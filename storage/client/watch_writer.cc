#include "storage/client/watch_writer.h"

#include <absl/time/time.h>

#include <algorithm>
#include <utility>

#include "lib/base/thread.h"
#include "lib/transport/net/wait.h"

namespace strata::client {
namespace {

using etcdserverpb::WatchRequest;

// Creations without an answer; whoever asks for more is of no use to a peer that is silent.
constexpr size_t kMostAsked = 64;

}  // namespace

base::Status WatchWriter::Start(Stream& stream, Asked first, const WatchOptions& wanted) {
  {
    absl::MutexLock lock(&mu_);
    if (over_) return base::CancelledError("the watch is over");
    open_ = true;
    Push(first, wanted);
  }
  STRATA_ASSIGN_OR_RETURN(thread_, base::StartThread([this, &stream] {
                            WatchRequest message;
                            while (Next(message) && stream.Write(message)) {
                            }
                          }));
  return base::OkStatus();
}

void WatchWriter::Stop() {
  absl::MutexLock lock(&mu_);
  open_ = false;
  over_ = true;
}

void WatchWriter::End() {
  Stop();
  if (thread_.joinable()) thread_.join();
}

bool WatchWriter::Next(WatchRequest& message) {
  absl::MutexLock lock(&mu_);
  const auto something = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return over_ || !waiting_.empty();
  };
  mu_.Await(absl::Condition(&something));
  if (over_) return false;
  message = std::move(waiting_.front().message);
  waiting_.pop_front();
  return true;
}

bool WatchWriter::Waits(Kind kind) const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [kind](const Request& request) { return request.kind == kind; });
}

void WatchWriter::Push(Asked what, const WatchOptions& wanted) {
  Request request{what == Asked::kSign ? Kind::kSign : Kind::kCreation, {}};
  auto* create = request.message.mutable_create_request();
  create->set_key(wanted.key);
  create->set_range_end(wanted.end);
  create->set_start_revision(wanted.start);
  create->set_fragment(true);
  create->set_progress_notify(true);
  waiting_.push_back(std::move(request));
  asked_.push_back(what);
  if (what == Asked::kWatch) begun_ = true;
}

void WatchWriter::Create(Asked what, const WatchOptions& wanted) {
  absl::MutexLock lock(&mu_);
  if (open_) Push(what, wanted);
}

void WatchWriter::RequestProgress() {
  absl::MutexLock lock(&mu_);
  if (!open_ || !begun_ || Waits(Kind::kProgress)) return;
  Request request{Kind::kProgress, {}};
  request.message.mutable_progress_request();
  waiting_.push_back(std::move(request));
}

uint64_t WatchWriter::AskForSign() {
  absl::MutexLock lock(&mu_);
  // One that isn't written yet is as new as another would be.
  if (Waits(Kind::kSign)) return signs_asked_;
  if (!open_ || asked_.size() >= kMostAsked) return signs_asked_ + 1;
  Push(Asked::kSign, {.key = sign_key_});
  return ++signs_asked_;
}

bool WatchWriter::AwaitSign(uint64_t sign, base::MonotonicTime deadline) {
  absl::MutexLock lock(&mu_);
  const auto decided = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return signs_come_ >= sign || over_;
  };
  mu_.AwaitWithTimeout(absl::Condition(&decided), absl::FromChrono(net::Left(deadline)));
  return signs_come_ >= sign;
}

std::optional<WatchWriter::Asked> WatchWriter::Created(int64_t id) {
  absl::MutexLock lock(&mu_);
  if (asked_.empty()) return std::nullopt;
  const Asked what = asked_.front();
  asked_.pop_front();
  if (what != Asked::kSign) return what;
  ++signs_come_;
  if (!open_) return what;
  Request request{Kind::kCancellation, {}};
  request.message.mutable_cancel_request()->set_watch_id(id);
  waiting_.push_back(std::move(request));
  return what;
}

}  // namespace strata::client
