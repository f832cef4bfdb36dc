#include "server/serving/filters/request_metrics.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/serving/served_call.h"

namespace strata::serving::filters {
namespace {

const std::vector<double> kDurationBuckets = {0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8,
                                              1,     1.25,  1.5,  2,   3,   4,   5,   6,
                                              8,     10,    15,   20,  30,  45,  60};
const std::vector<double> kSizeBuckets = {1000, 10'000, 100'000, 1e6, 1e7, 1e8, 1e9};

// Null: of paths that are no resource's.
obs::Labels LabelsOf(const registry::Resource* resource) {
  if (resource == nullptr) {
    return {{"verb", "GET"},     {"group", ""}, {"version", ""},           {"resource", ""},
            {"subresource", ""}, {"scope", ""}, {"component", "apiserver"}};
  }
  return {{"verb", "GET"},
          {"group", resource->group->name()},
          {"version", resource->group->version()},
          {"resource", std::string(resource->parent())},
          {"subresource", std::string(resource->subresource())},
          {"scope", "resource"},
          {"component", "apiserver"}};
}

}  // namespace

RequestMetrics::RequestMetrics(const registry::Groups& groups, obs::Metrics& metrics)
    : metrics_(metrics),
      authenticated_(metrics.AddCounter("authentication_attempts", "Authentications by result.",
                                        {{"result", "success"}})),
      // Names of users are no labels: there is no end of them.
      users_(metrics.AddCounter("authenticated_user_requests", "Requests of authenticated users.",
                                {{"username", "other"}})),
      unauthenticated_(metrics.AddCounter("authentication_attempts", "Authentications by result.",
                                          {{"result", "failure"}})),
      allowed_(metrics.AddCounter("authorization_attempts_total", "Authorizations by result.",
                                  {{"result", "allowed"}})),
      denied_(metrics.AddCounter("authorization_attempts_total", "Authorizations by result.",
                                 {{"result", "denied"}})) {
  AddRoute(nullptr);
  for (const registry::Group* group : groups)
    for (const registry::Resource& resource : group->resources()) AddRoute(&resource);
}

void RequestMetrics::AddRoute(const registry::Resource* resource) {
  auto route = std::make_unique<OfRoute>();
  route->resource = resource;
  route->labels = LabelsOf(resource);
  obs::Labels timed = route->labels;
  timed["dry_run"] = "";
  route->duration = std::make_unique<obs::Histogram>(metrics_.AddHistogram(
      "apiserver_request_duration_seconds", "Time to answer requests.", kDurationBuckets, timed));
  route->sli = std::make_unique<obs::Histogram>(metrics_.AddHistogram(
      "apiserver_request_sli_duration_seconds",
      "Time to answer requests, without that of webhooks and queues, of which there are none.",
      kDurationBuckets, route->labels));
  route->sizes = std::make_unique<obs::Histogram>(metrics_.AddHistogram(
      "apiserver_response_sizes", "Bytes of responses.", kSizeBuckets, route->labels));
  routes_.push_back(std::move(route));
}

RequestMetrics::OfRoute& RequestMetrics::RouteOf(const registry::Resource* resource) {
  return **std::find_if(routes_.begin(), routes_.end(),
                        [&](const auto& route) { return route->resource == resource; });
}

const obs::Counter& RequestMetrics::CounterOf(OfRoute& route, int code) {
  return route.by_code.At(static_cast<size_t>(std::clamp(code, 0, 599)), [&] {
    obs::Labels labels = route.labels;
    labels["code"] = std::to_string(code);
    labels["dry_run"] = "";
    return metrics_.AddCounter("apiserver_request_total", "Requests by their result.", labels);
  });
}

void RequestMetrics::Finish(ServedCall& call, const Outcome& outcome) {
  OfRoute& of = RouteOf(call.resource);
  CounterOf(of, outcome.status).Increment();
  const double seconds = std::chrono::duration<double>(outcome.took).count();
  of.duration->Observe(seconds);
  of.sli->Observe(seconds);
  of.sizes->Observe(static_cast<double>(outcome.bytes));
}

void RequestMetrics::Terminated(const registry::Resource* resource, int code) {
  obs::Labels labels = RouteOf(resource).labels;
  labels["code"] = std::to_string(code);
  metrics_
      .AddCounter("apiserver_request_terminations_total",
                  "Requests that were turned away or cut off to protect the server.", labels)
      .Increment();
}

void RequestMetrics::AuthenticationResult(bool success) {
  (success ? authenticated_ : unauthenticated_).Increment();
  if (success) users_.Increment();
}

void RequestMetrics::AuthorizationResult(bool allowed) {
  (allowed ? allowed_ : denied_).Increment();
}

}  // namespace strata::serving::filters
