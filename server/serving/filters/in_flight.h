// How many requests are served at a time, and of whom (k8s.io/apiserver
// pkg/server/filters/maxinflight.go). Watches, which may last for ever, have places of their own.
#pragma once

#include <optional>

#include "lib/base/shares.h"
#include "lib/obs/metrics.h"
#include "server/serving/filter.h"
#include "server/serving/filters/request_metrics.h"

namespace strata::serving::filters {

class InFlight final : public Filter {
 public:
  struct Options {
    int max_requests = 3000;            // --max-requests-inflight; 0: no limit
    int max_revision_waiters = 10'000;  // --max-revision-waiters; 0: no limit
    int max_watches = 30'000;           // --max-watches; 0: no limit
  };
  // What a request holds until its last owner lets go.
  struct Places {
    base::Shares::Claim claim = base::Shares::Claim::kFair;
    std::optional<base::Shares::Share> served, waiting, watching;
  };

  InFlight(const Options& options, RequestMetrics& request_metrics, obs::Metrics& metrics);
  Step Apply(ServedCall& call) override;

  // endpoints::Call has what they are for.
  bool BeginRevisionWait(ServedCall& call);
  bool EndRevisionWait(ServedCall& call);

  int64_t served() const { return served_.taken(); }

 private:
  bool Take(ServedCall& call);

  RequestMetrics& request_metrics_;
  base::Shares served_, waiting_, watching_;
};

}  // namespace strata::serving::filters
