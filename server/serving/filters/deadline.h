// By when a request has to be answered: `?timeout`, at most --request-timeout (k8s.io/apiserver
// pkg/endpoints/filters/request_deadline.go).
#pragma once

#include <chrono>

#include "server/serving/filter.h"

namespace strata::serving::filters {

class Deadline final : public Filter {
 public:
  explicit Deadline(std::chrono::nanoseconds longest) : longest_(longest) {}
  Step Apply(ServedCall& call) override;

 private:
  const std::chrono::nanoseconds longest_;
};

}  // namespace strata::serving::filters
