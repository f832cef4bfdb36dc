// One request from its arrival to the end of its answer, as the filters and its endpoint see it.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/transport/http/exchange.h"
#include "server/endpoints/call.h"
#include "server/serving/deadlines.h"
#include "server/serving/filter.h"
#include "server/serving/filters/audit.h"
#include "server/serving/filters/in_flight.h"
#include "server/serving/filters/request_metrics.h"

namespace strata::serving {

class Chain;

// Counted as in flight until its last owner lets go. Filters have it to themselves; from the
// endpoint on it is whoever's is to answer.
class ServedCall final : public endpoints::Call, public std::enable_shared_from_this<ServedCall> {
 public:
  ServedCall(Chain& chain, http::Request r, std::unique_ptr<http::Exchange> exchange);
  ~ServedCall() override { CancelEnd(); }

  void Respond(http::Response response) override;
  void Resume() override { exchange_->Resume(); }
  void Post(std::function<void()> task) override;
  void Guard(absl::FunctionRef<void()> task) override;
  void OnEnd(const std::function<void(End)>& ended) override;
  // For the filter of who is served: whether the connection may be the user's (http::Exchange).
  bool Occupy() { return exchange_->Occupy(user->name, places.claim); }
  bool BeginRevisionWait() override;
  bool EndRevisionWait() override;

  // For a filter: asks, and goes on with what `then(call, result)` says: now, if `ask(later)` has
  // the result; otherwise on the connection's thread once somebody has told it what `later` made. A
  // request whose time is over before is answered then, and doesn't go on.
  template <typename Result, typename Ask, typename Then>
  Step Await(const Ask& ask, Then then);

  // A filter has answered.
  Step Refuse(const api::Error& error) {
    Fail(error);
    return Step::kAnswered;
  }

  base::MonotonicTime started() const { return started_; }

  // What filters keep of it.
  std::string audit_id;
  std::vector<std::string> warnings;                // of authentication
  std::shared_ptr<const auth::UserInfo> requester;  // who impersonates the user; null: nobody
  bool close = false;                               // the connection, after this answer
  filters::Audit::Trail audit;
  filters::InFlight::Places places;
  std::optional<filters::RequestMetrics::LongRunning> long_running;

 private:
  friend class Chain;
  class Flow;

  // Authenticators and authorizers may answer on a thread of theirs.
  bool IsItsThread() const { return std::this_thread::get_id() == thread_; }
  void GoOn(Step step);

  // What is waited for, by number; all on the connection's thread.
  int BeginWait() { return waiting_ = ++waits_; }
  void SetAlarm(int wait);
  bool EndWait(int wait);  // false if it ended before

  void CancelEnd();
  void BeginFlow(http::Response& response);

  Chain& chain_;
  const std::unique_ptr<http::Exchange> exchange_;
  const base::MonotonicTime started_;
  const std::thread::id thread_ = std::this_thread::get_id();  // the connection's
  size_t next_filter_ = 0;
  bool answered_ = false;
  int waits_ = 0, waiting_ = 0;  // 0: for nothing
  std::optional<Deadlines::Alarm> alarm_, end_alarm_;
};

template <typename Result, typename Ask, typename Then>
Step ServedCall::Await(const Ask& ask, Then then) {
  int wait = 0;
  const auto later = [&]() -> std::function<void(Result)> {
    wait = BeginWait();
    return [call = shared_from_this(), wait, then](Result result) {
      if (call->IsItsThread()) {
        if (call->EndWait(wait)) call->GoOn(then(*call, std::move(result)));
        return;
      }
      call->Post([raw = call.get(), wait, then, result = std::move(result)] {
        if (raw->EndWait(wait)) raw->GoOn(then(*raw, result));
      });
    };
  };
  if (std::optional<Result> now = ask(later)) return then(*this, *std::move(now));
  if (waiting_ == wait) SetAlarm(wait);
  return Step::kWait;
}

}  // namespace strata::serving
