#include "server/endpoints/undecided.h"

#include "server/api/query.h"

namespace strata::endpoints {

void FailUndecided(Call& call, const std::string& why, const obs::Logger& log) {
  log.Warning("Could not tell whether a request is allowed",
              {{"err", why}, {"URI", api::WithoutToken(call.request.target)}});
  call.Fail(api::InternalErrorText(call.request.target, why));
}

}  // namespace strata::endpoints
