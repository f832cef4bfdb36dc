// Role-based access control on the real Kubernetes objects (k8s.io/kubernetes plugin/pkg/auth/authorizer/rbac).
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/string_map.h"
#include "server/auth/authorizer.h"
#include "server/auth/rbac_objects.h"
#include "server/files/file_watcher.h"

namespace strata::auth {

// All rules by the subjects that they are granted to. Immutable.
class Policy {
 public:
  // A binding whose role doesn't exist grants nothing. Of objects with one name the last counts, so that files override
  // what is built in.
  explicit Policy(const RbacObjects& objects);

  // About a microsecond for users with few bindings; no rule is looked at that isn't the user's.
  Decision Decide(const UserInfo& user, const api::RequestInfo& request) const;

 private:
  using Rules = std::shared_ptr<const std::vector<rbac_v1::PolicyRule>>;
  struct Grant {
    Rules rules;
    std::string ns;      // empty: everywhere
    std::string reason;  // that an allowed request gets
  };

  void AddGrants(const google::protobuf::RepeatedPtrField<rbac_v1::Subject>& subjects, const Rules& rules,
                 const std::string& ns, const std::string& binding, const rbac_v1::RoleRef& ref);
  const Grant* Find(std::string_view subject, const api::RequestInfo& request) const;

  base::StringMap<std::vector<Grant>> grants_;  // by "u:name", "g:name"
};

// --authorization-mode=RBAC with --rbac-file: the built-in roles and those of the files, which are read again when they
// change; a bad file leaves everything as it was.
class Rbac final : public Authorizer {
 public:
  // Each path is a file, or a directory of *.yaml, *.yml and *.json (not below it).
  static base::StatusOr<std::unique_ptr<Rbac>> Open(const std::vector<std::string>& paths, files::FileWatcher& watcher);

  void Authorize(const UserInfo& user, const api::RequestInfo& request, Done done) const override;

 private:
  struct State {
    mutable absl::Mutex mu;
    std::shared_ptr<const Policy> policy ABSL_GUARDED_BY(mu);
  };
  explicit Rbac(std::shared_ptr<State> state) : state_(std::move(state)) {}

  const std::shared_ptr<State> state_;  // shared with the watcher's loader
};

// What every cluster has: Kubernetes' discovery roles, cluster-admin, and OpenShift's roles that name imagestreams/layers.
std::string_view BuiltinRoles();

}  // namespace strata::auth
