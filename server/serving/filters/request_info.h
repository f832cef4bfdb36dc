// What the request is about: parsed once, for authorization and routing alike (k8s.io/apiserver
// pkg/endpoints/filters/requestinfo.go).
#pragma once

#include "server/endpoints/router.h"
#include "server/serving/filter.h"

namespace strata::serving::filters {

class RequestInfo final : public Filter {
 public:
  explicit RequestInfo(const endpoints::Router& router) : router_(router) {}
  Step Apply(ServedCall& call) override;

 private:
  const endpoints::Router& router_;
};

}  // namespace strata::serving::filters
