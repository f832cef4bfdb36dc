// The id of a request, by which its lines and its answer are found together (k8s.io/apiserver
// pkg/endpoints/filters/audit_init.go).
#pragma once

#include "server/serving/filter.h"

namespace strata::serving::filters {

class AuditId final : public Filter {
 public:
  Step Apply(ServedCall& call) override;
  void Begin(ServedCall& call, http::Response& response) override;
};

}  // namespace strata::serving::filters
