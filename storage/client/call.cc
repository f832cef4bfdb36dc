#include "storage/client/call.h"

#include <algorithm>
#include <utility>

namespace strata::client {

using std::chrono::duration;
using std::chrono::steady_clock;

// Who answers sooner isn't asked again for want of time.
constexpr std::chrono::milliseconds kLeastTurn(250);

Client::Attempts::Attempts(Client& client, const CallKind& kind, base::MonotonicTime deadline)
    : client_(client),
      kind_(kind),
      start_(steady_clock::now()),
      deadline_(deadline),
      again_(kind.repeatable && client.endpoints_.size() > 1),
      patience_(again_ ? kind.patience : base::MonotonicTime::duration::max()) {}

Client::Attempt Client::Attempts::Next() {
  endpoint_ = &client_.current();
  // A share of what is left for each endpoint that hasn't been tried, so that one that hangs
  // doesn't use it all.
  since_ = steady_clock::now();
  const auto untried = static_cast<int64_t>(client_.endpoints_.size() - tried_);
  const auto share = (deadline_ - since_) / untried;
  // All of it where that is too little for a longer round after this one.
  return {*endpoint_, since_ + share, share / 2 < patience_ ? share : patience_};
}

bool Client::Attempts::Over(const base::Status& status) {
  if (IsTokensFault(status) && !client_.options_.username.empty() && !fresh_token_) {
    client_.ForgetToken();
    fresh_token_ = true;
    return false;
  }
  if (IsEndpointsFault(status)) {
    const auto now = steady_clock::now();
    client_.Leave(*endpoint_);
    // One that says at once that its time is over has had it.
    cut_ = cut_ || (absl::IsDeadlineExceeded(status) && now - since_ > kLeastTurn);
    if (++tried_ < client_.endpoints_.size()) return false;
    if (again_ && cut_ && deadline_ - now > kLeastTurn) {
      tried_ = 0;
      cut_ = false;
      patience_ = 2 * std::min(patience_, base::MonotonicTime::duration::max() / 2);
      return false;
    }
  }
  kind_.requests.Increment();
  kind_.seconds.Observe(duration<double>(steady_clock::now() - start_).count());
  if (!status.ok()) kind_.errors.Increment();
  return true;
}

void Client::EndpointCall::Start(const Attempt& attempt, bool repeatable, std::string token,
                                 Begin begin, CallEnd& end, Then then) {
  const std::shared_ptr<EndpointCall> call(new EndpointCall(
      attempt, repeatable, std::move(token), std::move(begin), end, std::move(then)));
  call->Connect();
}

Client::EndpointCall::EndpointCall(const Attempt& attempt, bool repeatable, std::string token,
                                   Begin begin, CallEnd& end, Then then)
    : attempt_(attempt),
      repeatable_(repeatable),
      token_(std::move(token)),
      begin_(std::move(begin)),
      end_(end),
      then_(std::move(then)) {}

void Client::EndpointCall::Connect() {
  if (auto ready = attempt_.endpoint.Ready(); ready != nullptr)
    return Send(std::move(ready), false);
  const auto wait =
      std::make_shared<Endpoint::Wait>([self = shared_from_this()](const auto& made, bool fresh) {
        self->end_.Disarm();
        if (!made.ok()) return self->Finish(made.status());
        self->Send(*made, fresh);
      });
  if (!end_.Arm([this, wait] { attempt_.endpoint.Cancel(wait); }))
    return Finish(base::CancelledError("interrupted"));
  attempt_.endpoint.Connect(wait, attempt_.until);
}

void Client::EndpointCall::Send(std::shared_ptr<const Connection> connection, bool fresh) {
  connection_ = std::move(connection);
  fresh_ = fresh;
  context_ = std::make_unique<grpc::ClientContext>();
  const auto now = steady_clock::now();
  context_->set_deadline(WallDeadline(now + std::min(attempt_.patience, attempt_.until - now)));
  if (!token_.empty()) context_->AddMetadata("token", token_);
  if (!end_.Arm([context = context_.get()] { context->TryCancel(); }))
    return Finish(base::CancelledError("cancelled"));
  begin_(*connection_, *context_,
         [self = shared_from_this()](const grpc::Status& said) { self->Judge(said); });
}

void Client::EndpointCall::Judge(const grpc::Status& said) {
  end_.Disarm();
  const base::Status status = connection_->Explain(FromGrpc(said));
  if (!IsConnectionsFault(status)) return Finish(status);
  attempt_.endpoint.Drop(connection_);
  // Once more, and no more often: a server in this process has one connection, whatever it answers.
  const bool again = std::exchange(repeatable_, false);
  if (fresh_ || !again || !absl::IsUnavailable(status)) return Finish(status);
  Connect();
}

void Client::EndpointCall::Finish(const base::Status& status) {
  context_.reset();
  connection_.reset();
  std::move(then_)(At(attempt_.endpoint.url, status));
}

void Client::Call::Start(Client& client, const CallKind& kind, base::MonotonicTime deadline,
                         Cancellation* cancellation, EndpointCall::Begin begin,
                         EndpointCall::Then then) {
  const std::shared_ptr<Call> call(
      new Call(client, kind, deadline, cancellation, std::move(begin), std::move(then)));
  if (cancellation != nullptr && !cancellation->Enter(call->canceller_))
    return std::move(call->then_)(base::CancelledError("shutting down"));
  {
    absl::MutexLock lock(&client.calls_mu_);
    client.calls_.insert(call.get());
  }
  call->Try();
}

Client::Call::Call(Client& client, const CallKind& kind, base::MonotonicTime deadline,
                   Cancellation* cancellation, EndpointCall::Begin begin, EndpointCall::Then then)
    : client_(client),
      kind_(kind),
      cancellation_(cancellation),
      canceller_([this] { Cancel(); }),
      begin_(std::move(begin)),
      then_(std::move(then)),
      attempts_(client, kind, deadline) {}

void Client::Call::Try() {
  const Attempt attempt = attempts_.Next();
  client_.StartToken(attempt.endpoint, attempt.until, end_,
                     [self = shared_from_this(), attempt](base::StatusOr<std::string> token) {
                       self->Send(attempt, std::move(token));
                     });
}

void Client::Call::Send(const Attempt& attempt, base::StatusOr<std::string> token) {
  if (!token.ok()) return Judge(token.status());
  EndpointCall::Start(
      attempt, kind_.repeatable, *std::move(token), begin_, end_,
      [self = shared_from_this()](const base::Status& status) { self->Judge(status); });
}

void Client::Call::Judge(const base::Status& status) {
  if (!attempts_.Over(status)) return Try();
  Finish(status);
}

void Client::Call::Finish(const base::Status& status) {
  if (cancellation_ != nullptr) cancellation_->Leave(canceller_);
  std::move(then_)(status);
  absl::MutexLock lock(&client_.calls_mu_);
  client_.calls_.erase(this);
}

}  // namespace strata::client
