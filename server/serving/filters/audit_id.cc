#include "server/serving/filters/audit_id.h"

#include <utility>

#include "server/api/headers.h"
#include "server/serving/served_call.h"

namespace strata::serving::filters {

Step AuditId::Apply(ServedCall& call) {
  call.audit_id = api::AuditId(call.request.headers);
  return Step::kGoOn;
}

void AuditId::Begin(ServedCall& call, http::Response& response) {
  // Of a whole answer everything has been said before its head.
  const bool is_over = response.flow == nullptr;
  response.headers.AddFirst("audit-id", is_over ? std::move(call.audit_id) : call.audit_id);
}

}  // namespace strata::serving::filters
