// How reviews by kube-apiserver go, under the names that apiserver dashboards use
// (k8s.io/apiserver pkg/authentication/authenticatorfactory/metrics.go and its sibling).
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "lib/obs/metrics.h"
#include "server/auth/review_cache.h"
#include "server/kube/api.h"

namespace strata::auth {

// From its making to the answer. The names are literals.
class ReviewTimer {
 public:
  ReviewTimer(obs::Metrics& metrics, const char* total, const char* duration_seconds)
      : metrics_(metrics), total_(total), duration_seconds_(duration_seconds) {}

  void Observe(const base::StatusOr<kube::Response>& response) const {
    static const std::vector<double> kSeconds = {0.005, 0.025, 0.1, 0.25, 0.5, 0.7,
                                                 1,     1.5,   3,   5,    10};
    const obs::Labels code = {
        {"code", response.ok() ? std::to_string(response->status) : "<error>"}};
    metrics_.AddCounter(total_, "Reviews asked of kube-apiserver, by its answer.", code)
        .Increment();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started_;
    metrics_.AddHistogram(duration_seconds_, "Time that such a review took.", kSeconds, code)
        .Observe(took.count());
  }

 private:
  obs::Metrics& metrics_;
  const char* total_;
  const char* duration_seconds_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

// authentication_token_cache_*, of k8s.io/apiserver pkg/authentication/token/cache/stats.go.
template <typename Read>
void AddTokenCacheMetrics(obs::Metrics& metrics, Read read) {
  const auto requests = [&](const char* status, auto get) {
    metrics.AddCounterFunction("authentication_token_cache_request_total",
                               "Tokens looked up in the cache.", {{"status", status}},
                               [read, get] { return static_cast<double>(get(read())); });
  };
  requests("hit", [](const auto& s) { return s.hits; });
  requests("miss", [](const auto& s) { return s.misses + s.joined; });
  metrics.AddGaugeFunction("authentication_token_cache_active_fetch_count",
                           "Requests that wait for the review of a token.", {{"status", "blocked"}},
                           [read] { return static_cast<double>(read().waiting); });
}

// `read` is a ReviewCache's stats; it must outlive the scrapes.
template <typename Read>
void AddCacheMetrics(obs::Metrics& metrics, const std::string& cache, Read read) {
  const auto counter = [&](const char* result, auto get) {
    metrics.AddCounterFunction(
        "strata_review_cache_requests_total",
        "Questions to the caches of reviews: answered at once, by asking kube-apiserver, or "
        "together with another.",
        {{"cache", cache}, {"result", result}},
        [read, get] { return static_cast<double>(get(read())); });
  };
  counter("hit", [](const auto& s) { return s.hits; });
  counter("miss", [](const auto& s) { return s.misses; });
  counter("joined", [](const auto& s) { return s.joined; });
  metrics.AddGaugeFunction("strata_review_cache_entries", "Answers that are kept.",
                           {{"cache", cache}},
                           [read] { return static_cast<double>(read().entries); });
  metrics.AddGaugeFunction("strata_review_cache_waiting", "Requests that wait for an answer.",
                           {{"cache", cache}},
                           [read] { return static_cast<double>(read().waiting); });
}

}  // namespace strata::auth
