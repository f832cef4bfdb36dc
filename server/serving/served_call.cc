#include "server/serving/served_call.h"

#include <exception>

#include "server/serving/chain.h"

namespace strata::serving {

// A body that flows, with the end of its request at its own end.
class ServedCall::Flow final : public http::Body {
 public:
  Flow(std::shared_ptr<ServedCall> call, std::unique_ptr<http::Body> body, int status)
      : call_(std::move(call)), body_(std::move(body)), status_(status) {}

  ~Flow() override {
    body_ = nullptr;
    call_->CancelEnd();
    call_->chain_.Finish(*call_, {status_, call_->chain_.clock_.Now() - call_->started_, bytes_});
  }

  Piece Next(std::span<char> buffer) override {
    try {
      const Piece piece = body_->Next(buffer);
      bytes_ += piece.bytes;
      return piece;
    } catch (const std::exception& error) {
      call_->chain_.NoteException(*call_, error);
      call_->chain_.request_metrics_.Aborted(*call_);
      return {0, Rest::kBroken};
    }
  }

 private:
  const std::shared_ptr<ServedCall> call_;
  std::unique_ptr<http::Body> body_;
  const int status_;
  size_t bytes_ = 0;
};

ServedCall::ServedCall(Chain& chain, http::Request r, std::unique_ptr<http::Exchange> exchange)
    : chain_(chain), exchange_(std::move(exchange)), started_(chain.clock_.Now()) {
  request = std::move(r);
  info = chain.no_info_;
}

void ServedCall::Respond(http::Response response) {
  if (answered_) return;
  // Who isn't known has a share, too: with all others of whom that is so.
  const std::string_view name = user == nullptr ? std::string_view() : user->name;
  if (!exchange_->Admit(response, name, places.claim)) return Fail(api::TooManyUnreadAnswers());
  answered_ = true;
  CancelEnd();
  if (response.flow != nullptr) {
    BeginFlow(response);
  } else {
    const size_t bytes = response.body == nullptr ? 0 : response.body->size();
    chain_.Finish(*this, {response.status, chain_.clock_.Now() - started_, bytes});
  }
  chain_.Begin(*this, response);
  response.close_connection = response.close_connection || close;
  exchange_->Respond(std::move(response));
}

// timeout.go: an answer that has begun is broken off when its time is over, but for one that may go
// on for as long as it likes.
void ServedCall::BeginFlow(http::Response& response) {
  response.flow =
      std::make_unique<Flow>(shared_from_this(), std::move(response.flow), response.status);
  if (api::IsLongRunning(*info)) return;
  end_alarm_ = chain_.deadlines_.Set(deadline, [weak = weak_from_this()] {
    const auto call = weak.lock();
    if (call == nullptr) return;
    call->chain_.request_metrics_.Terminated(*call, 504);
    call->chain_.request_metrics_.Aborted(*call);
    call->exchange_->Abandon();
  });
}

void ServedCall::Post(std::function<void()> task) {
  exchange_->Post([self = shared_from_this(), task = std::move(task)] { self->Guard(task); });
}

void ServedCall::Guard(absl::FunctionRef<void()> task) {
  // Ours throws nothing; what libraries throw at a request ends that request alone.
  try {
    task();
  } catch (const std::exception& error) {
    chain_.NoteException(*this, error);
    if (!answered_) return Fail(api::Panic());
    // Not from here: this may be its own Next.
    chain_.request_metrics_.Aborted(*this);
    exchange_->Post([self = shared_from_this()] { self->exchange_->Abandon(); });
  }
}

void ServedCall::OnEnd(const std::function<void(End)>& ended) {
  CancelEnd();
  end_alarm_ = chain_.deadlines_.Set(deadline, [weak = weak_from_this(), ended] {
    if (const auto call = weak.lock()) call->Post([ended] { ended(End::kTimeIsOver); });
  });
  exchange_->OnGone([ended] { ended(End::kClientIsGone); });
}

void ServedCall::CancelEnd() {
  if (end_alarm_) chain_.deadlines_.Cancel(*end_alarm_);
  end_alarm_.reset();
}

bool ServedCall::BeginRevisionWait() {
  return chain_.in_flight_.BeginRevisionWait(*this);
}

bool ServedCall::EndRevisionWait() {
  return chain_.in_flight_.EndRevisionWait(*this);
}

void ServedCall::GoOn(Step step) {
  if (step == Step::kGoOn) chain_.GoOn(*this);
}

void ServedCall::SetAlarm(int wait) {
  const auto expire = [weak = weak_from_this(), wait] {
    const auto call = weak.lock();
    if (call == nullptr) return;
    call->Post([raw = call.get(), wait] {
      raw->alarm_.reset();
      if (raw->EndWait(wait)) raw->Fail(api::RequestTimeout());
    });
  };
  alarm_ = chain_.deadlines_.Set(deadline, expire);
}

bool ServedCall::EndWait(int wait) {
  if (waiting_ != wait) return false;
  waiting_ = 0;
  if (alarm_) chain_.deadlines_.Cancel(*alarm_);
  alarm_.reset();
  return true;
}

}  // namespace strata::serving
