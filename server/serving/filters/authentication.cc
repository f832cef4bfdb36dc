#include "server/serving/filters/authentication.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "server/api/headers.h"
#include "server/serving/served_call.h"

namespace strata::serving::filters {
namespace {

// UnauthenticatedHTTP2DOSMitigation: an HTTP/2 connection isn't kept for nobody. A proxy's, on
// which others' requests come too, is.
bool IsStrangersHttp2(const http::Request& request) {
  return request.version == http::Version::kHttp2 &&
         (request.peer == nullptr || request.peer->certificate_chain.empty());
}

}  // namespace

Step Authentication::Apply(ServedCall& call) {
  return call.Await<auth::Authentication>(
      [&](const auto& later) { return authenticator_.Authenticate(call.request, later); },
      [this](ServedCall& c, auth::Authentication result) {
        return Authenticated(c, std::move(result));
      });
}

Step Authentication::Authenticated(ServedCall& call, auth::Authentication result) const {
  const bool known = result.result == auth::Authentication::Result::kUser;
  metrics_.AuthenticationResult(known);
  call.warnings = std::move(result.warnings);
  if (!known) {
    if (!result.error.empty())
      log_.Verbose(2, "Unable to authenticate the request", {{"err", result.error}});
    audit_.FailedAuthentication(call);
    if (call.request.version == http::Version::kHttp2) call.close = true;
    return call.Refuse(api::Unauthorized());
  }
  call.user = std::move(result.user);
  if (call.user->name == auth::kAnonymous && IsStrangersHttp2(call.request)) call.close = true;
  return Step::kGoOn;
}

// Behind those that every answer has, and before the answer's own.
void Authentication::Begin(ServedCall& call, http::Response& response) {
  if (call.warnings.empty()) return;
  const size_t own = response.headers.size();
  api::AddWarnings(call.warnings, response.headers);
  const auto first = response.headers.begin();
  std::rotate(first, first + static_cast<ptrdiff_t>(own), response.headers.end());
}

}  // namespace strata::serving::filters
