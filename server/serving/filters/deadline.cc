#include "server/serving/filters/deadline.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "lib/base/duration.h"
#include "server/serving/served_call.h"

namespace strata::serving::filters {

Step Deadline::Apply(ServedCall& call) {
  call.deadline = call.started() + longest_;
  // Of those the answer has to have begun by then.
  if (api::IsLongRunning(*call.info)) return Step::kGoOn;
  const std::string_view asked = call.info->query.Get("timeout");
  if (asked.empty()) return Step::kGoOn;
  const auto timeout = base::ParseDuration(asked);
  if (!timeout.ok()) {
    return call.Refuse(api::BadRequest("invalid timeout specified in the request URL - " +
                                       std::string(base::Message(timeout.status()))));
  }
  if (timeout->count() != 0) call.deadline = call.started() + std::min(longest_, *timeout);
  return Step::kGoOn;
}

}  // namespace strata::serving::filters
