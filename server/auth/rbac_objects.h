// Role, ClusterRole, RoleBinding and ClusterRoleBinding, as they stand in manifests.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "proto/k8s/rbac_v1.pb.h"

namespace strata::auth {

namespace rbac_v1 = ::k8s::io::api::rbac::v1;

struct RbacObjects {
  std::vector<rbac_v1::Role> roles;
  std::vector<rbac_v1::ClusterRole> cluster_roles;
  std::vector<rbac_v1::RoleBinding> role_bindings;
  std::vector<rbac_v1::ClusterRoleBinding> cluster_role_bindings;
};

// Adds the objects of one file: YAML or JSON, many documents, Lists. Objects of other groups are
// left out. An error names `file`, the line where the document starts, and what is wrong.
base::Status AddRbacObjects(std::string_view text, std::string_view file, RbacObjects& objects);

}  // namespace strata::auth
