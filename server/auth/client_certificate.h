// TLS client certificates as users: the common name is the user, each organization a group
// (k8s.io/apiserver pkg/authentication/request/x509).
#pragma once

#include <memory>

#include "lib/base/clock.h"
#include "lib/obs/metrics.h"
#include "server/auth/authenticator.h"
#include "server/auth/ca_pool.h"

namespace strata::auth {

// A chain that doesn't verify against the CAs is an error; no certificate, or no CA, no opinion.
class ClientCertificate final : public Authenticator {
 public:
  ClientCertificate(std::shared_ptr<const CaPool> cas, const base::Clock& clock,
                    obs::Metrics& metrics);
  std::optional<Authentication> Authenticate(const http::Request& request,
                                             Later later) const override;

 private:
  const std::shared_ptr<const CaPool> cas_;
  const base::Clock& clock_;
  const obs::Histogram expiration_;
};

}  // namespace strata::auth
