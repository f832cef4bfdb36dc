#include "server/auth/client_certificate.h"

#include <chrono>
#include <utility>
#include <vector>

namespace strata::auth {
namespace {

// x509.go clientCertificateExpirationHistogram: from expired to a year, in seconds.
constexpr double kHour = 3600, kDay = 24 * kHour;
const std::vector<double> kExpiration = {0,          kHour / 2, kHour,      2 * kHour, 6 * kHour,
                                         12 * kHour, kDay,      2 * kDay,   4 * kDay,  7 * kDay,
                                         30 * kDay,  90 * kDay, 180 * kDay, 365 * kDay};

}  // namespace

ClientCertificate::ClientCertificate(std::shared_ptr<const CaPool> cas, const base::Clock& clock,
                                     obs::Metrics& metrics)
    : cas_(std::move(cas)),
      clock_(clock),
      expiration_(metrics.AddHistogram("apiserver_client_certificate_expiration_seconds",
                                       "Time that the client certificates of requests had left.",
                                       kExpiration)) {}

std::optional<Authentication> ClientCertificate::Authenticate(const http::Request& request,
                                                              Later) const {
  if (request.peer == nullptr || request.peer->certificate_chain.empty()) return Authentication{};
  const auto verdict = cas_->Verify(request.peer->certificate_chain);
  if (verdict == nullptr) return Authentication{};
  const std::chrono::duration<double> left = verdict->not_after - clock_.WallNow();
  expiration_.Observe(left.count());
  Authentication result;
  if (!verdict->error.empty()) {
    result.result = Authentication::Result::kError;
    result.error = verdict->error;
  } else if (verdict->user != nullptr) {
    result.result = Authentication::Result::kUser;
    result.user = verdict->user;
  }
  return result;
}

}  // namespace strata::auth
