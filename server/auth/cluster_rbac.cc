#include "server/auth/cluster_rbac.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace strata::auth {
namespace {

constexpr size_t kAllKinds = 0b1111;

template <typename Object>
void Read(const kube::Informer::Objects& from, std::vector<Object>& to) {
  to.clear();
  for (const auto& [key, bytes] : from) {
    Object object;
    // One that can't be read grants nothing.
    if (object.ParseFromString(bytes)) to.push_back(std::move(object));
  }
}

}  // namespace

ClusterRbac::ClusterRbac(kube::Api& api, Rbac& rbac, const obs::Logger& log) : rbac_(rbac) {
  const auto follow = [&](size_t kind, const char* resource, auto& objects) {
    informers_[kind] = std::make_unique<kube::Informer>(
        api, kube::Informer::Source{std::string("/apis/rbac.authorization.k8s.io/v1/") + resource},
        kube::Informer::Options{},
        [this, kind, &objects](const kube::Informer::Objects& all) {
          Read(all, objects);
          taken_ |= size_t{1} << kind;
          return Take();
        },
        log);
  };
  follow(0, "roles", objects_.roles);
  follow(1, "clusterroles", objects_.cluster_roles);
  follow(2, "rolebindings", objects_.role_bindings);
  follow(3, "clusterrolebindings", objects_.cluster_role_bindings);
}

void ClusterRbac::Start() {
  for (const auto& informer : informers_) informer->Start();
}

bool ClusterRbac::synced() const {
  return std::all_of(informers_.begin(), informers_.end(),
                     [](const auto& informer) { return informer->synced(); });
}

base::Status ClusterRbac::status() const {
  base::Status status;
  for (const auto& informer : informers_) status.Update(informer->status());
  return status;
}

base::Status ClusterRbac::Take() {
  if (taken_ == kAllKinds) rbac_.Set(objects_);
  return base::OkStatus();
}

}  // namespace strata::auth
