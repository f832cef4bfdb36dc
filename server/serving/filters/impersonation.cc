#include "server/serving/filters/impersonation.h"

#include <optional>
#include <string>
#include <utility>

#include "server/auth/authenticator.h"
#include "server/serving/served_call.h"

namespace strata::serving::filters {

Step Impersonation::Apply(ServedCall& call) {
  auto wanted = auth::FindImpersonation(call.request.headers);
  auth::StripCredentials(call.request.headers);
  if (!wanted.ok()) {
    return call.Refuse(api::InternalErrorText(call.request.target, base::Message(wanted.status())));
  }
  std::optional<auth::Impersonation> impersonation = *std::move(wanted);
  if (!impersonation) return Step::kGoOn;
  return Ask(call, std::make_shared<const auth::Impersonation>(*std::move(impersonation)), 0);
}

Step Impersonation::Ask(ServedCall& call, const std::shared_ptr<const auth::Impersonation>& wanted,
                        size_t index) const {
  if (index == wanted->needed.size()) {
    log_.Verbose(3, "Impersonation",
                 {{"user", call.user->name}, {"impersonated", wanted->user->name}});
    call.requester = std::exchange(call.user, wanted->user);
    Audit::Impersonates(call);
    return Step::kGoOn;
  }
  return call.Await<auth::Decision>(
      [&](const auto& later) {
        return authorizer_.Authorize(*call.user, wanted->needed[index], later);
      },
      [this, wanted, index](ServedCall& c, const auth::Decision& decision) {
        if (decision.verdict == auth::Decision::Verdict::kAllow) return Ask(c, wanted, index + 1);
        return c.Refuse(api::Forbidden(c.user->name, wanted->needed[index], decision.reason));
      });
}

}  // namespace strata::serving::filters
