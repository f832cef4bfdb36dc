// The filter chain: what a request passes between HTTP and its endpoint.
#pragma once

#include <array>
#include <chrono>
#include <exception>
#include <memory>

#include "lib/base/clock.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "lib/transport/http/exchange.h"
#include "server/audit/log.h"
#include "server/auth/authenticator.h"
#include "server/auth/authorizer.h"
#include "server/endpoints/router.h"
#include "server/serving/deadlines.h"
#include "server/serving/filters/access_log.h"
#include "server/serving/filters/audit.h"
#include "server/serving/filters/audit_id.h"
#include "server/serving/filters/authentication.h"
#include "server/serving/filters/authorization.h"
#include "server/serving/filters/cache_control.h"
#include "server/serving/filters/deadline.h"
#include "server/serving/filters/goaway.h"
#include "server/serving/filters/impersonation.h"
#include "server/serving/filters/in_flight.h"
#include "server/serving/filters/request_info.h"
#include "server/serving/filters/request_metrics.h"

namespace strata::serving {

// Thread-safe once made. What it refers to outlives it, and it outlives the requests.
class Chain {
 public:
  struct Options {
    std::chrono::nanoseconds request_timeout = std::chrono::seconds(60);  // --request-timeout
    filters::InFlight::Options in_flight;
    double goaway_chance = 0;  // --goaway-chance
  };

  // Without `audit` nothing is audited.
  Chain(const Options& options, const auth::Authenticator& authenticator,
        const auth::Authorizer& authorizer, const endpoints::Router& router,
        const base::Clock& clock, const obs::Logger& log, obs::Metrics& metrics,
        audit::Log* audit = nullptr);

  // For http::Handler: on the connection's thread.
  void Serve(http::Request request, std::unique_ptr<http::Exchange> exchange);

  int in_flight() const { return in_flight_.served(); }

 private:
  friend class ServedCall;

  // Takes the call through the filters that it hasn't passed, and to its endpoint.
  void GoOn(ServedCall& call);
  void Begin(ServedCall& call, http::Response& response) const;
  void Finish(ServedCall& call, const Outcome& outcome) const;
  void NoteException(const ServedCall& call, const std::exception& error);

  const endpoints::Router& router_;
  const base::Clock& clock_;
  const obs::Logger& log_;
  // Of a request that isn't parsed yet, or can't be.
  const std::shared_ptr<const api::RequestInfo> no_info_ = std::make_shared<api::RequestInfo>();

  filters::RequestMetrics request_metrics_;
  filters::AccessLog access_log_;
  filters::AuditId audit_id_;
  filters::CacheControl cache_control_;
  filters::Goaway goaway_;
  filters::RequestInfo request_info_;
  filters::Deadline deadline_;
  filters::Audit audit_;
  filters::Authentication authentication_;
  filters::Impersonation impersonation_;
  filters::InFlight in_flight_;
  filters::Authorization authorization_;
  const std::array<Filter*, 9> way_in_;
  const std::array<Filter*, 4> heads_;
  const std::array<Filter*, 3> ends_;

  Deadlines deadlines_;  // last: its thread ends before the rest
};

}  // namespace strata::serving
