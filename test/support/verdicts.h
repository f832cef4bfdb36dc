// Asks authenticators and authorizers as who doesn't care whether the answer comes at once.
#pragma once

#include <utility>

#include "server/auth/authenticator.h"
#include "server/auth/authorizer.h"

namespace strata::testing_support {

inline void Authenticate(const auth::Authenticator& authenticator, const http::Request& request,
                         const auth::Authenticator::Done& done) {
  if (auto now = authenticator.Authenticate(request, [&] { return done; })) done(*std::move(now));
}

inline void Authorize(const auth::Authorizer& authorizer, const auth::UserInfo& user,
                      const api::RequestInfo& request, const auth::Authorizer::Done& done) {
  const auto now = authorizer.Authorize(user, request, [&] { return done; });
  if (now) done(*now);
}

}  // namespace strata::testing_support
