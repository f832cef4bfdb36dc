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

std::string NameOf(registry::Scope scope) {
  if (scope == registry::Scope::kObject) return "resource";
  return scope == registry::Scope::kNamespace ? "namespace" : "cluster";
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
  AddRoute({});
  for (const registry::Group* group : groups)
    for (const registry::Resource& resource : group->resources()) AddRoutes(resource);
}

void RequestMetrics::AddRoutes(const registry::Resource& resource) {
  using registry::Scope;
  if (resource.verbs.empty()) return;
  AddRoute({&resource, Scope::kObject, "GET"});
  std::vector<Scope> collections = {Scope::kCluster};
  if (resource.namespaced) collections.push_back(Scope::kNamespace);
  for (const Scope scope : collections) {
    if (!resource.serves("list")) break;
    AddRoute({&resource, scope, "LIST"});
    AddRoute({&resource, scope, "WATCH"});  // also of one that can't be watched: it is told so
  }
  if (resource.serves("watch")) AddRoute({&resource, Scope::kObject, "WATCH"});
}

void RequestMetrics::AddRoute(const Route& of) {
  auto added = std::make_unique<OfRoute>();
  added->route = of;
  const registry::Resource* resource = of.resource;
  added->labels = {{"verb", std::string(of.verb)},
                   {"group", ""},
                   {"version", ""},
                   {"resource", ""},
                   {"subresource", ""},
                   {"scope", ""},
                   {"component", "apiserver"}};
  if (resource != nullptr) {
    added->labels["group"] = resource->group->name();
    added->labels["version"] = resource->group->version();
    added->labels["resource"] = std::string(resource->parent());
    added->labels["subresource"] = std::string(resource->subresource());
    added->labels["scope"] = NameOf(of.scope);
  }
  obs::Labels timed = added->labels;
  timed["dry_run"] = "";
  added->duration = std::make_unique<obs::Histogram>(metrics_.AddHistogram(
      "apiserver_request_duration_seconds", "Time to answer requests.", kDurationBuckets, timed));
  added->sli = std::make_unique<obs::Histogram>(metrics_.AddHistogram(
      "apiserver_request_sli_duration_seconds",
      "Time to answer requests, without that of webhooks and queues, of which there are none.",
      kDurationBuckets, added->labels));
  added->sizes = std::make_unique<obs::Histogram>(metrics_.AddHistogram(
      "apiserver_response_sizes", "Bytes of responses.", kSizeBuckets, added->labels));
  if (of.verb == "WATCH" && resource->serves("watch")) {
    added->running =
        metrics_.AddGauge("apiserver_longrunning_requests",
                          "Requests that go on until their clients end them.", added->labels);
  }
  routes_.push_back(std::move(added));
}

// What no verb is served of counts as what is read there (CanonicalVerb, cleanVerb).
RequestMetrics::Route RequestMetrics::RouteOf(const endpoints::Call& call) {
  if (call.resource == nullptr) return {};
  Route route{call.resource, call.scope, "GET"};
  if (call.verb == "watch") {
    route.verb = "WATCH";
  } else if (call.scope != registry::Scope::kObject) {
    route.verb = "LIST";
  }
  return route;
}

RequestMetrics::OfRoute& RequestMetrics::Find(const endpoints::Call& call) {
  const Route route = RouteOf(call);
  const auto found = std::find_if(routes_.begin(), routes_.end(),
                                  [&](const auto& one) { return one->route == route; });
  return found == routes_.end() ? *routes_.front() : **found;
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
  OfRoute& of = Find(call);
  CounterOf(of, outcome.status).Increment();
  const double seconds = std::chrono::duration<double>(outcome.took).count();
  of.duration->Observe(seconds);
  of.sli->Observe(seconds);
  of.sizes->Observe(static_cast<double>(outcome.bytes));
}

void RequestMetrics::BeginLongRunning(ServedCall& call) {
  const OfRoute& of = Find(call);
  if (of.running) call.long_running.emplace(*of.running);
}

void RequestMetrics::Terminated(const endpoints::Call& call, int code) {
  obs::Labels labels = Find(call).labels;
  labels["code"] = std::to_string(code);
  metrics_
      .AddCounter("apiserver_request_terminations_total",
                  "Requests that were turned away or cut off to protect the server.", labels)
      .Increment();
}

void RequestMetrics::Aborted(const endpoints::Call& call) {
  obs::Labels labels = Find(call).labels;
  labels.erase("component");
  metrics_
      .AddCounter("apiserver_request_aborts_total",
                  "Requests whose answer was broken off, mostly since their time was over.", labels)
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
