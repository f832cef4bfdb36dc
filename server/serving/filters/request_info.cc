#include "server/serving/filters/request_info.h"

#include <memory>
#include <string>
#include <utility>

#include "server/api/headers.h"
#include "server/serving/served_call.h"

namespace strata::serving::filters {

Step RequestInfo::Apply(ServedCall& call) {
  auto info = api::RecallRequestInfo(call.request.method, call.request.target);
  if (info == nullptr) {
    call.close = true;
    return call.Refuse({400, "", "400 Bad Request", {}, api::Error::Form::kText});
  }
  call.info = std::move(info);
  router_.Aim(call);
  if (std::string trace = api::TraceParent(call.request.headers); !trace.empty()) {
    auto traced = std::make_shared<api::RequestInfo>(*call.info);
    traced->traceparent = std::move(trace);
    call.info = std::move(traced);
  }
  if (call.info->problem.empty()) return Step::kGoOn;
  return call.Refuse(api::InternalErrorText(call.request.target,
                                            "failed to create RequestInfo: " + call.info->problem));
}

}  // namespace strata::serving::filters
