// A request in another user's name, by who may do that (k8s.io/apiserver
// pkg/endpoints/filters/impersonation.go).
#pragma once

#include <cstddef>
#include <memory>

#include "lib/obs/log.h"
#include "server/auth/authorizer.h"
#include "server/auth/impersonation.h"
#include "server/serving/filter.h"

namespace strata::serving::filters {

class Impersonation final : public Filter {
 public:
  Impersonation(const auth::Authorizer& authorizer, const obs::Logger& log)
      : authorizer_(authorizer), log_(log) {}
  Step Apply(ServedCall& call) override;

 private:
  // Asks whether the user may do what it needs, from the `index`-th question on.
  Step Ask(ServedCall& call, const std::shared_ptr<const auth::Impersonation>& wanted,
           size_t index) const;

  const auth::Authorizer& authorizer_;
  const obs::Logger& log_;
};

}  // namespace strata::serving::filters
