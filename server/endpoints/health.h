// /healthz, /livez and /readyz, with their named checks (k8s.io/apiserver
// pkg/server/healthz/healthz.go).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/obs/metrics.h"
#include "lib/transport/http/message.h"

namespace strata::endpoints {

// Set up before serving, constant afterwards; checks run on whichever thread asks.
class Health {
 public:
  // Must not block. An error's message is shown only by the check's own path.
  using Check = std::function<base::Status()>;

  // Which of the three endpoints ask a check. Liveness is what a restart can cure; the rest is
  // readiness.
  enum class Scope { kLiveness, kReadiness };

  void Add(std::string name, Scope scope, Check check);

  // kubernetes_healthcheck{name,type}: 1 or 0, as a scrape finds it. After the last Add; this must
  // outlive the scrapes.
  void AddMetrics(obs::Metrics& metrics) const;

  // Every path served, sorted: /healthz, /healthz/ping, …
  std::vector<std::string> Paths() const;

  // `path` is one of Paths(), `verbose` whether the query asks, `excluded` the values of its
  // `exclude`.
  http::Response Answer(std::string_view path, bool verbose,
                        const std::vector<std::string>& excluded) const;

 private:
  struct Named {
    std::string name;
    Scope scope;
    Check check;
  };
  std::vector<const Named*> ChecksOf(std::string_view endpoint) const;

  std::vector<Named> checks_;
};

}  // namespace strata::endpoints
