#include "server/serving/filters/in_flight.h"

#include <algorithm>

#include "server/serving/served_call.h"

namespace strata::serving::filters {
namespace {

int64_t LimitOf(int flag) {
  return flag == 0 ? base::Shares::kEndless : flag;
}

// Who keeps the cluster running isn't turned away (maxinflight.go; k8s.io/apiserver
// pkg/apis/flowcontrol/bootstrap: flow schema `exempt`). The aggregator reads OpenAPI documents as
// a user of its own (kube-aggregator pkg/controllers/openapi/aggregator).
base::Shares::Claim ClaimOf(const auth::UserInfo& user) {
  const auto& groups = user.groups;
  const bool exempt = user.name == "system:aggregator" ||
                      std::find(groups.begin(), groups.end(), auth::kMasters) != groups.end();
  return exempt ? base::Shares::Claim::kExempt : base::Shares::Claim::kFair;
}

// What tells whether the server runs (flow schema `probes`), and what it serves: a cluster that
// doesn't know that can't delete a namespace. It is answered as cheaply as it would be refused.
bool IsAlwaysAnswered(const api::RequestInfo& info) {
  if (info.is_resource) return false;
  for (const std::string_view path : {"/healthz", "/livez", "/readyz", "/api", "/apis", "/version"})
    if (info.path == path) return true;
  return info.path.starts_with("/apis/");
}

}  // namespace

InFlight::InFlight(const Options& options, RequestMetrics& request_metrics, obs::Metrics& metrics)
    : request_metrics_(request_metrics),
      served_(LimitOf(options.max_requests)),
      waiting_(LimitOf(options.max_revision_waiters)),
      watching_(LimitOf(options.max_watches)) {
  metrics.AddGaugeFunction("apiserver_current_inflight_requests", "Requests that are being served.",
                           {{"request_kind", "readOnly"}},
                           [this] { return static_cast<double>(served()); });
  metrics.AddGaugeFunction("strata_revision_waiters",
                           "Requests that wait for a resourceVersion which hasn't come.", {},
                           [this] { return static_cast<double>(waiting_.taken()); });
}

Step InFlight::Apply(ServedCall& call) {
  call.places.claim = ClaimOf(*call.user);
  const bool always = IsAlwaysAnswered(*call.info);
  if (!always && !call.Occupy()) {
    call.close = true;
  } else if (api::IsLongRunning(*call.info)) {
    call.places.watching = watching_.Take(call.user->name, call.places.claim);
    if (call.places.watching) {
      request_metrics_.BeginLongRunning(call);
      return Step::kGoOn;
    }
  } else if (always || Take(call)) {
    return Step::kGoOn;
  }
  request_metrics_.Terminated(call, 429);
  return call.Refuse(api::TooManyRequests());
}

bool InFlight::Take(ServedCall& call) {
  call.places.served = served_.Take(call.user->name, call.places.claim);
  return call.places.served.has_value();
}

bool InFlight::BeginRevisionWait(ServedCall& call) {
  Places& places = call.places;
  places.waiting = waiting_.Take(call.user->name, call.places.claim);
  if (places.waiting) places.served.reset();
  return places.waiting.has_value();
}

bool InFlight::EndRevisionWait(ServedCall& call) {
  if (!call.places.waiting) return true;
  call.places.waiting.reset();
  return api::IsLongRunning(*call.info) || Take(call);
}

}  // namespace strata::serving::filters
