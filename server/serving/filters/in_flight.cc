#include "server/serving/filters/in_flight.h"

#include <algorithm>

#include "server/serving/served_call.h"

namespace strata::serving::filters {
namespace {

// Who keeps the cluster running, and what tells whether it runs, isn't turned away (maxinflight.go;
// k8s.io/apiserver pkg/apis/flowcontrol/bootstrap: flow schemas `exempt` and `probes`). The
// aggregator reads OpenAPI documents as a user of its own (kube-aggregator
// pkg/controllers/openapi/aggregator).
Shares::Claim ClaimOf(const auth::UserInfo& user, const api::RequestInfo& info) {
  const auto& groups = user.groups;
  const bool exempt = user.name == "system:aggregator" ||
                      std::find(groups.begin(), groups.end(), auth::kMasters) != groups.end() ||
                      (!info.is_resource && (info.path == "/healthz" || info.path == "/livez" ||
                                             info.path == "/readyz"));
  return exempt ? Shares::Claim::kExempt : Shares::Claim::kFair;
}

}  // namespace

InFlight::InFlight(const Options& options, RequestMetrics& request_metrics, obs::Metrics& metrics)
    : request_metrics_(request_metrics),
      served_(options.max_requests),
      waiting_(options.max_revision_waiters) {
  metrics.AddGaugeFunction("apiserver_current_inflight_requests", "Requests that are being served.",
                           {{"request_kind", "readOnly"}},
                           [this] { return static_cast<double>(served()); });
  metrics.AddGaugeFunction("strata_revision_waiters",
                           "Requests that wait for a resourceVersion which hasn't come.", {},
                           [this] { return static_cast<double>(waiting_.taken()); });
}

Step InFlight::Apply(ServedCall& call) {
  if (api::IsLongRunning(*call.info)) {
    request_metrics_.BeginLongRunning(call);
    return Step::kGoOn;
  }
  if (Take(call)) return Step::kGoOn;
  request_metrics_.Terminated(call, 429);
  return call.Refuse(api::TooManyRequests());
}

bool InFlight::Take(ServedCall& call) {
  call.places.served = served_.Take(call.user->name, ClaimOf(*call.user, *call.info));
  return call.places.served.has_value();
}

bool InFlight::BeginRevisionWait(ServedCall& call) {
  Places& places = call.places;
  places.waiting = waiting_.Take(call.user->name, ClaimOf(*call.user, *call.info));
  if (places.waiting) places.served.reset();
  return places.waiting.has_value();
}

bool InFlight::EndRevisionWait(ServedCall& call) {
  if (!call.places.waiting) return true;
  call.places.waiting.reset();
  return api::IsLongRunning(*call.info) || Take(call);
}

}  // namespace strata::serving::filters
