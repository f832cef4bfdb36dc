// Role-based access control on the real Kubernetes objects (k8s.io/kubernetes
// plugin/pkg/auth/authorizer/rbac).
#pragma once

#include <absl/base/thread_annotations.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/base/status.h"
#include "lib/base/string_map.h"
#include "lib/transport/files/file_watcher.h"
#include "server/auth/authorizer.h"
#include "server/auth/rbac_objects.h"

namespace strata::auth {

// All rules by the subjects that they are granted to, and of each by namespace: what a request
// costs doesn't grow with what others may do, nor with what its user may do in other namespaces.
// Immutable.
class Policy {
 public:
  // Of objects with one name the last counts, so that files override what is built in.
  explicit Policy(const RbacObjects& objects);

  // Of an error that names roles which don't exist.
  static constexpr size_t kMaxMissing = 100;

  // Allows, with the binding that does, or has no opinion. A binding whose role doesn't exist
  // grants nothing; the reason then names the role, as kube-apiserver's 403s do.
  Decision Decide(const UserInfo& user, const api::RequestInfo& request) const;

  // The roles, however often each is bound, that are looked at for a user's request in a namespace.
  size_t RolesOf(std::string_view user, std::string_view ns) const;

 private:
  using Rules = std::shared_ptr<const std::vector<rbac_v1::PolicyRule>>;
  struct Grant {
    Rules rules;         // null: the role doesn't exist
    std::string reason;  // for the request that it allows, or what is missing
  };
  struct Grants {
    std::vector<Grant> everywhere;
    base::StringMap<std::vector<Grant>> in_namespace;
  };
  using Missing = std::vector<std::string_view>;

  struct Binding;
  void Add(const Binding& binding);
  static void DropRepeated(base::StringMap<Grants>& subjects);
  static const Grant* Find(const std::vector<Grant>& grants, const api::RequestInfo& request,
                           Missing& missing);
  static const Grant* Find(const base::StringMap<Grants>& subjects, std::string_view name,
                           const api::RequestInfo& request, Missing& missing);

  base::StringMap<Grants> users_;  // service accounts are users
  base::StringMap<Grants> groups_;
};

// --authorization-mode=RBAC. Thread-safe.
class Rbac final : public Authorizer {
 public:
  // Without any objects yet: nothing can be told.
  Rbac() : state_(std::make_shared<State>()) {}

  // The built-in roles and those of --rbac-file, which are read again when they change; a bad file
  // leaves everything as it was. Each path is a file, or a directory of *.yaml, *.yml and *.json
  // (not below it), whose files may come and go.
  base::Status Follow(const std::vector<std::string>& paths, files::FileWatcher& watcher);

  // Replaces all objects.
  void Set(const RbacObjects& objects) { state_->Set(objects); }

  std::optional<Decision> Authorize(const UserInfo& user, const api::RequestInfo& request,
                                    Later later) const override;

 private:
  struct State {
    void Set(const RbacObjects& objects) ABSL_LOCKS_EXCLUDED(mu);
    mutable base::Mutex mu;
    std::shared_ptr<const Policy> policy ABSL_GUARDED_BY(mu);
  };

  const std::shared_ptr<State> state_;  // shared with the watcher's loader
};

// What every cluster has: Kubernetes' discovery roles, cluster-admin, and OpenShift's roles that
// name imagestreams/layers.
std::string_view BuiltinRoles();

}  // namespace strata::auth
