#include "server/auth/client_certificate.h"

#include <utility>

namespace strata::auth {

void ClientCertificate::Authenticate(const http::Request& request, Done done) const {
  if (request.peer == nullptr || request.peer->certificate_chain.empty()) return done({});
  const auto verdict = cas_->Verify(request.peer->certificate_chain);
  if (verdict == nullptr) return done({});
  Authentication result;
  if (!verdict->error.empty()) {
    result.result = Authentication::Result::kError;
    result.error = verdict->error;
  } else if (verdict->user != nullptr) {
    result.result = Authentication::Result::kUser;
    result.user = verdict->user;
  }
  done(std::move(result));
}

}  // namespace strata::auth
