// What becomes of a request of which nobody can tell whether it is allowed.
#pragma once

#include <string>

#include "lib/obs/log.h"
#include "server/endpoints/call.h"

namespace strata::endpoints {

// It fails with 500, and the log says why: what an authorizer answered instead of a verdict.
void FailUndecided(Call& call, const std::string& why, const obs::Logger& log);

}  // namespace strata::endpoints
