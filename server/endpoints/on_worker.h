// Handing a call to a worker, who answers it.
#pragma once

#include <functional>
#include <memory>

#include "server/endpoints/call.h"
#include "server/endpoints/lane.h"

namespace strata::endpoints {

// Runs `task` on a worker, unless the call has ended before: then it is abandoned. It is failed if
// too much waits. On the connection's thread; `workers` outlives the call.
void RunFor(const std::shared_ptr<Call>& call, const Lane& workers, std::function<void()> task);

}  // namespace strata::endpoints
