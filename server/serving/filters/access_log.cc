#include "server/serving/filters/access_log.h"

#include <chrono>
#include <string>
#include <string_view>

#include "server/api/headers.h"
#include "server/api/query.h"
#include "server/serving/served_call.h"

namespace strata::serving::filters {
namespace {

std::string_view TextOf(const std::string* header) {
  return header == nullptr ? std::string_view() : std::string_view(*header);
}

std::string_view NameOf(const auth::UserInfo* user) {
  return user == nullptr ? std::string_view() : std::string_view(user->name);
}

}  // namespace

// What a request says may hold anything; the logger quotes and cuts it.
void AccessLog::Finish(ServedCall& call, const Outcome& outcome) {
  if (!log_.Shows(3)) return;
  const http::Request& request = call.request;
  const bool impersonates = call.requester != nullptr;
  const auth::UserInfo* asks = impersonates ? call.requester.get() : call.user.get();
  const std::string target = api::WithoutToken(request.target);
  const std::string* trace = request.headers.Find("traceparent");
  log_.Verbose(
      3, "HTTP",
      {{"verb", request.method},
       {"URI", target},
       {"latency_us", std::chrono::duration_cast<std::chrono::microseconds>(outcome.took).count()},
       {"userAgent", TextOf(request.headers.Find("user-agent"))},
       {"audit-ID", call.audit_id},
       {"traceID", trace == nullptr ? std::string_view() : api::TraceId(*trace)},
       {"srcIP",
        request.peer == nullptr ? std::string_view() : std::string_view(request.peer->address)},
       {"user", NameOf(asks)},
       {"impersonatedUser", NameOf(impersonates ? call.user.get() : nullptr)},
       {"resp", outcome.status}});
}

}  // namespace strata::serving::filters
