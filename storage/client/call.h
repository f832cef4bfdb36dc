// A call over gRPC on its way, and the rules by which it goes on from endpoint to endpoint.
#pragma once

#include <absl/functional/any_invocable.h>

#include <functional>
#include <memory>
#include <string>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "storage/client/channel.h"
#include "storage/client/client.h"
#include "storage/client/endpoint.h"

namespace strata::client {

// At one endpoint.
struct Client::Attempt {
  Endpoint& endpoint;
  base::MonotonicTime until;
  // For the answer, once there is a connection.
  base::MonotonicTime::duration patience = base::MonotonicTime::duration::max();
};

// Once on each endpoint, beginning with the current one; once more if the token has expired. What
// may be repeated goes round again where one of them might have done it in more time. For one
// thread at a time.
class Client::Attempts {
 public:
  Attempts(Client& client, const CallKind& kind, base::MonotonicTime deadline);

  Attempt Next();
  // Whether the call is over with what came of the attempt. It is counted then.
  bool Over(const base::Status& status);

 private:
  Client& client_;
  const CallKind& kind_;
  const base::MonotonicTime start_, deadline_;
  const bool again_;  // there may be another round
  base::MonotonicTime::duration patience_;
  Endpoint* endpoint_ = nullptr;
  base::MonotonicTime since_;
  size_t tried_ = 0;  // in this round
  bool cut_ = false;  // one of those ran out of its time
  bool fresh_token_ = false;
};

// Over one endpoint's shared connection. One that fails is left, so that nothing waits for it to be
// found dead; one that was there before may have ended meanwhile: then once more, if the call may
// be repeated.
class Client::EndpointCall : public std::enable_shared_from_this<Client::EndpointCall> {
 public:
  // Begins it; `said` is called once it is over, from another thread, which it may not block.
  using Said = std::function<void(grpc::Status)>;
  using Begin = std::function<void(const Connection&, grpc::ClientContext&, Said said)>;
  using Then = absl::AnyInvocable<void(base::Status) &&>;

  // `then` gets what came of it, on any thread. `end`, which lives until then, ends it early.
  static void Start(const Attempt& attempt, bool repeatable, std::string token, Begin begin,
                    CallEnd& end, Then then);

 private:
  EndpointCall(const Attempt& attempt, bool repeatable, std::string token, Begin begin,
               CallEnd& end, Then then);
  void Connect();
  void Send(std::shared_ptr<const Connection> connection, bool fresh);
  void Judge(const grpc::Status& said);
  void Finish(const base::Status& status);

  const Attempt attempt_;
  bool repeatable_;          // once more
  const std::string token_;  // of etcd's users; empty: none
  const Begin begin_;
  CallEnd& end_;
  Then then_;
  std::shared_ptr<const Connection> connection_;
  bool fresh_ = false;
  std::unique_ptr<grpc::ClientContext> context_;
};

// The whole of it. Keeps itself until it is over, and the client waits for that.
class Client::Call : public std::enable_shared_from_this<Client::Call> {
 public:
  static void Start(Client& client, const CallKind& kind, base::MonotonicTime deadline,
                    Cancellation* cancellation, EndpointCall::Begin begin, EndpointCall::Then then);
  void Cancel() { end_.Set(); }

 private:
  Call(Client& client, const CallKind& kind, base::MonotonicTime deadline,
       Cancellation* cancellation, EndpointCall::Begin begin, EndpointCall::Then then);
  void Try();
  void Send(const Attempt& attempt, base::StatusOr<std::string> token);
  void Judge(const base::Status& status);
  void Finish(const base::Status& status);

  Client& client_;
  const CallKind& kind_;
  Cancellation* const cancellation_;
  const Cancellation::Canceller canceller_;
  const EndpointCall::Begin begin_;
  EndpointCall::Then then_;
  CallEnd end_;
  Attempts attempts_;
};

}  // namespace strata::client
