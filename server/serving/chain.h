// The filter chain: what a request passes between HTTP and its handler, in kube-apiserver's order
// (k8s.io/apiserver pkg/server/config.go DefaultBuildHandlerChain): audit id, barrier against
// exceptions, request info, deadline, authentication, audit, impersonation, in-flight limit,
// authorization, route.
#pragma once

#include <absl/functional/function_ref.h>

#include <chrono>
#include <functional>
#include <memory>

#include "lib/base/clock.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "lib/transport/http/exchange.h"
#include "server/audit/log.h"
#include "server/auth/authenticator.h"
#include "server/auth/authorizer.h"
#include "server/auth/impersonation.h"
#include "server/endpoints/router.h"
#include "server/serving/deadlines.h"
#include "server/serving/request_metrics.h"
#include "server/serving/shares.h"

namespace strata::serving {

// Thread-safe once made. What it refers to outlives it, and it outlives the requests.
class Chain {
 public:
  struct Options {
    std::chrono::nanoseconds request_timeout = std::chrono::seconds(60);  // --request-timeout
    int max_requests_inflight = 3000;   // --max-requests-inflight; 0: no limit
    int max_revision_waiters = 10'000;  // --max-revision-waiters; 0: no limit
    double goaway_chance = 0;  // --goaway-chance: of an HTTP/2 request to end its connection
  };

  Chain(const Options& options, const auth::Authenticator& authenticator,
        const auth::Authorizer& authorizer, const endpoints::Router& router,
        const base::Clock& clock, const obs::Logger& log, obs::Metrics& metrics,
        audit::Log* audit = nullptr);

  // For http::Handler: on the connection's thread.
  void Serve(http::Request request, std::unique_ptr<http::Exchange> exchange);

  int in_flight() const { return in_flight_.taken(); }

 private:
  class ServedCall;
  friend class ServedCall;

  // Asks, and goes on with `then(call, result)`: now, if `ask(later)` has the result; otherwise on
  // the connection's thread once somebody has told it what `later` made. A request whose time is
  // over before is answered then, and doesn't go on.
  template <typename Result, typename Ask, typename Then>
  void Await(const std::shared_ptr<ServedCall>& call, const Ask& ask, Then then);
  // Takes the step; what it throws ends this request alone.
  void Guarded(const std::shared_ptr<ServedCall>& call, absl::FunctionRef<void()> step);
  bool DrawsGoaway(const http::Request& request) const;
  void Parse(const std::shared_ptr<ServedCall>& call);
  void Authenticate(const std::shared_ptr<ServedCall>& call);
  void Authenticated(const std::shared_ptr<ServedCall>& call, auth::Authentication result);
  // Asks whether the user may do what the impersonation needs, from the `index`-th question on.
  void Impersonate(const std::shared_ptr<ServedCall>& call,
                   const std::shared_ptr<const auth::Impersonation>& wanted, size_t index);
  void Authorize(const std::shared_ptr<ServedCall>& call);
  void Authorized(const std::shared_ptr<ServedCall>& call, auth::Decision decision);
  void Dispatch(const std::shared_ptr<ServedCall>& call);
  // The request's deadline from `?timeout` and --request-timeout; false if it was answered.
  bool SetDeadline(ServedCall& call) const;

  const Options options_;
  const auth::Authenticator& authenticator_;
  const auth::Authorizer& authorizer_;
  const endpoints::Router& router_;
  const base::Clock& clock_;
  const obs::Logger& log_;
  audit::Log* const audit_;  // null: nothing is audited
  // Of a request that isn't parsed yet, or can't be.
  const std::shared_ptr<const api::RequestInfo> no_info_ = std::make_shared<api::RequestInfo>();
  RequestMetrics metrics_;
  Shares in_flight_;
  Shares revision_waiters_;
  Deadlines deadlines_;  // last: its thread ends before the rest
};

}  // namespace strata::serving
