#include "server/auth/rbac_objects.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "codec/decode_json.h"
#include "codec/yaml.h"

namespace strata::auth {
namespace {

constexpr std::string_view kRbacVersion = "rbac.authorization.k8s.io/v1";
constexpr std::string_view kRbacGroup = "rbac.authorization.k8s.io";

template <typename T>
base::Status Add(std::string_view json, std::vector<T>& to) {
  T object;
  STRATA_RETURN_IF_ERROR(codec::DecodeJson(json, object).status());
  if (object.metadata().name().empty()) return base::InvalidArgumentError("metadata.name: Required value");
  to.push_back(std::move(object));
  return base::OkStatus();
}

base::Status CheckRef(const rbac_v1::RoleRef& ref, bool cluster) {
  if (ref.name().empty()) return base::InvalidArgumentError("roleRef.name: Required value");
  if (ref.api_group() != kRbacGroup) {
    return base::InvalidArgumentError(fmt::format("roleRef.apiGroup: Unsupported value: \"{}\": supported values: \"{}\"",
                                                  base::Printable(ref.api_group(), 60), kRbacGroup));
  }
  if (ref.kind() == "ClusterRole" || (!cluster && ref.kind() == "Role")) return base::OkStatus();
  return base::InvalidArgumentError(
      fmt::format("roleRef.kind: Unsupported value: \"{}\"", base::Printable(ref.kind(), 60)));
}

base::Status CheckSubjects(const google::protobuf::RepeatedPtrField<rbac_v1::Subject>& subjects, bool cluster) {
  for (int i = 0; i < subjects.size(); ++i) {
    const rbac_v1::Subject& subject = subjects[i];
    const bool account = subject.kind() == "ServiceAccount";
    if (!account && subject.kind() != "User" && subject.kind() != "Group") {
      return base::InvalidArgumentError(
          fmt::format("subjects[{}].kind: Unsupported value: \"{}\"", i, base::Printable(subject.kind(), 60)));
    }
    if (subject.name().empty()) return base::InvalidArgumentError(fmt::format("subjects[{}].name: Required value", i));
    if (account && cluster && subject.namespace_().empty()) {
      return base::InvalidArgumentError(fmt::format("subjects[{}].namespace: Required value", i));
    }
  }
  return base::OkStatus();
}

base::Status AddObject(std::string_view json, RbacObjects& objects) {
  STRATA_ASSIGN_OR_RETURN(const codec::DecodedType type, codec::DecodeType(json));
  if (type.kind == "List" || type.kind.ends_with("List")) {
    base::Status status;
    STRATA_RETURN_IF_ERROR(codec::ForEachItem(json, [&](std::string_view item) {
      if (status.ok()) status = AddObject(item, objects);
    }));
    return status;
  }
  if (type.kind.empty()) return base::InvalidArgumentError("kind: Required value");
  if (type.api_version != kRbacVersion) return base::OkStatus();
  if (type.kind == "Role") return Add(json, objects.roles);
  if (type.kind == "ClusterRole") return Add(json, objects.cluster_roles);
  if (type.kind == "RoleBinding") {
    STRATA_RETURN_IF_ERROR(Add(json, objects.role_bindings));
    const auto& binding = objects.role_bindings.back();
    STRATA_RETURN_IF_ERROR(CheckRef(binding.role_ref(), false));
    if (binding.metadata().namespace_().empty()) return base::InvalidArgumentError("metadata.namespace: Required value");
    return CheckSubjects(binding.subjects(), false);
  }
  if (type.kind == "ClusterRoleBinding") {
    STRATA_RETURN_IF_ERROR(Add(json, objects.cluster_role_bindings));
    STRATA_RETURN_IF_ERROR(CheckRef(objects.cluster_role_bindings.back().role_ref(), true));
    return CheckSubjects(objects.cluster_role_bindings.back().subjects(), true);
  }
  return base::InvalidArgumentError(
      fmt::format("kind \"{}\" isn't one of {}", base::Printable(type.kind, 60), kRbacVersion));
}

}  // namespace

base::Status AddRbacObjects(std::string_view text, std::string_view file, RbacObjects& objects) {
  base::Status status;
  const base::Status read = codec::ForEachYamlDocument(text, [&](codec::YamlDocument document) {
    status = base::Annotate(AddObject(document.json, objects), fmt::format("{}:{}", file, document.line));
    return status.ok();
  });
  return status.ok() ? base::Annotate(read, file) : status;
}

}  // namespace strata::auth
