// --rbac-source=cluster: the roles and bindings that kube-apiserver has.
#pragma once

#include <absl/synchronization/mutex.h>

#include <array>
#include <memory>

#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "server/auth/rbac.h"
#include "server/kube/informer.h"

namespace strata::auth {

// Follows the four kinds. Until all are known nothing can be told, and later what was known counts
// while kube-apiserver is away. As for its lifetime, it is an Informer.
class ClusterRbac {
 public:
  ClusterRbac(kube::Api& api, Rbac& rbac, const obs::Logger& log);

  void Start();
  bool synced() const;
  // Why one of them isn't followed at the moment; OK if all are.
  base::Status status() const;

 private:
  base::Status Take();

  Rbac& rbac_;
  // The Api's thread's.
  RbacObjects objects_;
  size_t taken_ = 0;  // bits of the kinds that have come
  std::array<std::unique_ptr<kube::Informer>, 4> informers_;
};

}  // namespace strata::auth
