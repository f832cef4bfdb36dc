#include "server/serving/filters/authorization.h"

#include <utility>

#include "server/endpoints/undecided.h"
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
  endpoints::FailUndecided(call, decision.error, log_);
  return Step::kAnswered;
}

}  // namespace strata::serving::filters
