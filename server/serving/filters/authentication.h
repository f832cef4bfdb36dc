// Who asks (k8s.io/apiserver pkg/endpoints/filters/authentication.go).
#pragma once

#include "lib/obs/log.h"
#include "server/auth/authenticator.h"
#include "server/serving/filter.h"
#include "server/serving/filters/audit.h"
#include "server/serving/filters/request_metrics.h"

namespace strata::serving::filters {

class Authentication final : public Filter {
 public:
  Authentication(const auth::Authenticator& authenticator, const Audit& audit,
                 RequestMetrics& metrics, const obs::Logger& log)
      : authenticator_(authenticator), audit_(audit), metrics_(metrics), log_(log) {}
  Step Apply(ServedCall& call) override;
  void Begin(ServedCall& call, http::Response& response) override;

 private:
  Step Authenticated(ServedCall& call, auth::Authentication result) const;

  const auth::Authenticator& authenticator_;
  const Audit& audit_;
  RequestMetrics& metrics_;
  const obs::Logger& log_;
};

}  // namespace strata::serving::filters
