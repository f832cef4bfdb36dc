// What an answer has that doesn't say otherwise, errors too (k8s.io/apiserver
// pkg/endpoints/filters/cachecontrol.go, but for what openshift-apiserver
// pkg/cmd/openshift-apiserver/openshiftapiserver withCacheControl doesn't leave out).
#pragma once

#include "server/serving/filter.h"

namespace strata::serving::filters {

class CacheControl final : public Filter {
 public:
  void Begin(ServedCall& call, http::Response& response) override;
};

}  // namespace strata::serving::filters
