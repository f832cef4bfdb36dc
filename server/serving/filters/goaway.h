// What many replicas serve is spread anew, a connection at a time (k8s.io/apiserver
// pkg/server/filters/goaway.go).
#pragma once

#include "server/serving/filter.h"

namespace strata::serving::filters {

class Goaway final : public Filter {
 public:
  // --goaway-chance: of an HTTP/2 request to end its connection.
  explicit Goaway(double chance) : chance_(chance) {}
  Step Apply(ServedCall& call) override;

 private:
  const double chance_;
};

}  // namespace strata::serving::filters
