#include "server/serving/chain.h"

#include <utility>

#include "server/api/error.h"
#include "server/api/query.h"
#include "server/serving/served_call.h"

namespace strata::serving {

Chain::Chain(const Options& options, const auth::Authenticator& authenticator,
             const auth::Authorizer& authorizer, const endpoints::Router& router,
             const base::Clock& clock, const obs::Logger& log, obs::Metrics& metrics,
             audit::Log* audit)
    : router_(router),
      clock_(clock),
      log_(log),
      request_metrics_(router.groups(), metrics),
      access_log_(log),
      goaway_(options.goaway_chance),
      request_info_(router),
      deadline_(options.request_timeout),
      audit_(audit, clock),
      authentication_(authenticator, audit_, request_metrics_, log),
      impersonation_(authorizer, log),
      in_flight_(options.in_flight, request_metrics_, metrics),
      authorization_(authorizer, request_metrics_, log),
      // In kube-apiserver's order (k8s.io/apiserver pkg/server/config.go DefaultBuildHandlerChain).
      way_in_{&audit_id_, &goaway_,        &request_info_, &deadline_,     &authentication_,
              &audit_,    &impersonation_, &in_flight_,    &authorization_},
      // What is added last comes first.
      heads_{&audit_, &authentication_, &cache_control_, &audit_id_},
      ends_{&request_metrics_, &access_log_, &audit_},
      deadlines_(clock) {}

void Chain::Serve(http::Request request, std::unique_ptr<http::Exchange> exchange) {
  const auto call = std::make_shared<ServedCall>(*this, std::move(request), std::move(exchange));
  call->Guard([&] { GoOn(*call); });
}

void Chain::GoOn(ServedCall& call) {
  while (call.next_filter_ < way_in_.size())
    if (way_in_[call.next_filter_++]->Apply(call) != Step::kGoOn) return;
  if (clock_.Now() >= call.deadline) return call.Fail(api::RequestTimeout());
  router_.Route(call.shared_from_this());
}

void Chain::Begin(ServedCall& call, http::Response& response) const {
  response.headers.Reserve(response.headers.size() + call.warnings.size() + 2);
  for (Filter* filter : heads_) filter->Begin(call, response);
}

void Chain::Finish(ServedCall& call, const Outcome& outcome) const {
  for (Filter* filter : ends_) filter->Finish(call, outcome);
}

void Chain::NoteException(const ServedCall& call, const std::exception& error) {
  log_.Error(
      "A request ended with an exception",
      {{"err", std::string_view(error.what())}, {"URI", api::WithoutToken(call.request.target)}});
  request_metrics_.Terminated(call, 500);
}

}  // namespace strata::serving
