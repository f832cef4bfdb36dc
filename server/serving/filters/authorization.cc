#include "server/serving/filters/authorization.h"

#include <utility>

#include "server/api/query.h"
#include "server/serving/served_call.h"

namespace strata::serving::filters {

Step Authorization::Apply(ServedCall& call) {
  return call.Await<auth::Decision>(
      [&](const auto& later) { return authorizer_.Authorize(*call.user, *call.info, later); },
      [this](ServedCall& c, auth::Decision decision) {
        return Authorized(c, std::move(decision));
      });
}

Step Authorization::Authorized(ServedCall& call, auth::Decision decision) const {
  const bool allowed = decision.verdict == auth::Decision::Verdict::kAllow;
  metrics_.AuthorizationResult(allowed);
  if (allowed) {
    Audit::Decided(call, std::move(decision));
    return Step::kGoOn;
  }
  Audit::Decided(call, decision);
  if (decision.error.empty())
    return call.Refuse(api::Forbidden(call.user->name, *call.info, decision.reason));
  log_.Warning("Could not tell whether a request is allowed",
               {{"err", decision.error}, {"URI", api::WithoutToken(call.request.target)}});
  return call.Refuse(api::InternalErrorText(call.request.target, decision.error));
}

}  // namespace strata::serving::filters
