// Whether the user may do that (k8s.io/apiserver pkg/endpoints/filters/authorization.go).
#pragma once

#include "lib/obs/log.h"
#include "server/auth/authorizer.h"
#include "server/serving/filter.h"
#include "server/serving/filters/request_metrics.h"

namespace strata::serving::filters {

class Authorization final : public Filter {
 public:
  Authorization(const auth::Authorizer& authorizer, RequestMetrics& metrics, const obs::Logger& log)
      : authorizer_(authorizer), metrics_(metrics), log_(log) {}
  Step Apply(ServedCall& call) override;

 private:
  Step Authorized(ServedCall& call, auth::Decision decision) const;

  const auth::Authorizer& authorizer_;
  RequestMetrics& metrics_;
  const obs::Logger& log_;
};

}  // namespace strata::serving::filters
