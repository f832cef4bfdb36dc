// What makes an object bad is what kube-apiserver's validation refuses (k8s.io/kubernetes
// pkg/apis/rbac/validation), so that a file that loads here can be applied to a cluster, and one
// that a cluster would refuse isn't half understood.
#include "server/auth/rbac_objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/codec/decode_json.h"
#include "lib/codec/yaml.h"

namespace strata::auth {
namespace {

constexpr std::string_view kRbacVersion = "rbac.authorization.k8s.io/v1";
constexpr std::string_view kRbacGroup = "rbac.authorization.k8s.io";
constexpr int kMaxListDepth = 4;

using Rules = google::protobuf::RepeatedPtrField<rbac_v1::PolicyRule>;
using Subjects = google::protobuf::RepeatedPtrField<rbac_v1::Subject>;

base::Status Required(std::string_view field) {
  return base::InvalidArgumentError(fmt::format("{}: Required value", field));
}

base::Status Unsupported(std::string_view field, std::string_view value,
                         std::string_view supported) {
  return base::InvalidArgumentError(
      fmt::format("{}: Unsupported value: \"{}\": supported values: {}", field,
                  base::Printable(value, 60), supported));
}

// Decodes into a new element of `to`. A field that isn't known is an error, for `resourceName`
// instead of `resourceNames` would grant more than was meant; but metadata may have what other
// versions put there.
template <typename T>
base::StatusOr<const T*> Add(std::string_view json, std::vector<T>& to) {
  T object;
  std::vector<std::string> unknown;
  STRATA_RETURN_IF_ERROR(codec::DecodeJson(json, object, &unknown).status());
  for (const std::string& path : unknown) {
    if (path.starts_with("metadata.")) continue;
    return base::InvalidArgumentError(
        fmt::format("unknown field \"{}\"", base::Printable(path, 100)));
  }
  if (object.metadata().name().empty()) return Required("metadata.name");
  to.push_back(std::move(object));
  return &to.back();
}

base::Status CheckRules(const Rules& rules, bool namespaced) {
  for (int i = 0; i < rules.size(); ++i) {
    const rbac_v1::PolicyRule& rule = rules[i];
    const auto field = [&](std::string_view name) { return fmt::format("rules[{}].{}", i, name); };
    if (rule.verbs().empty()) return Required(field("verbs"));
    if (!rule.non_resource_urls().empty()) {
      if (namespaced) {
        return base::InvalidArgumentError(fmt::format(
            "{}: namespaced rules cannot apply to non-resource URLs", field("nonResourceURLs")));
      }
      if (!rule.api_groups().empty() || !rule.resources().empty() ||
          !rule.resource_names().empty()) {
        return base::InvalidArgumentError(
            fmt::format("{}: rules cannot apply to both regular resources and non-resource URLs",
                        field("nonResourceURLs")));
      }
      continue;
    }
    if (rule.api_groups().empty()) return Required(field("apiGroups"));
    if (rule.resources().empty()) return Required(field("resources"));
  }
  return base::OkStatus();
}

base::Status CheckSelectors(const rbac_v1::AggregationRule& rule) {
  if (rule.cluster_role_selectors().empty())
    return Required("aggregationRule.clusterRoleSelectors");
  for (const auto& selector : rule.cluster_role_selectors()) {
    for (const auto& requirement : selector.match_expressions()) {
      constexpr std::string_view kField = "aggregationRule.clusterRoleSelectors.matchExpressions";
      const std::string& op = requirement.operator_();
      const bool valued = op == "In" || op == "NotIn";
      if (requirement.key().empty()) return Required(fmt::format("{}.key", kField));
      if (!valued && op != "Exists" && op != "DoesNotExist") {
        return Unsupported(fmt::format("{}.operator", kField), op,
                           "\"In\", \"NotIn\", \"Exists\", \"DoesNotExist\"");
      }
      if (valued == requirement.values().empty()) {
        return base::InvalidArgumentError(fmt::format("{}.values: must be {} for operator {}",
                                                      kField, valued ? "given" : "empty", op));
      }
    }
  }
  return base::OkStatus();
}

base::Status CheckRef(const rbac_v1::RoleRef& ref, bool cluster) {
  // Empty means the group, by Kubernetes' defaults.
  if (!ref.api_group().empty() && ref.api_group() != kRbacGroup) {
    return Unsupported("roleRef.apiGroup", ref.api_group(), fmt::format("\"{}\"", kRbacGroup));
  }
  if (ref.kind() != "ClusterRole" && (cluster || ref.kind() != "Role")) {
    return Unsupported("roleRef.kind", ref.kind(),
                       cluster ? "\"ClusterRole\"" : "\"ClusterRole\", \"Role\"");
  }
  return ref.name().empty() ? Required("roleRef.name") : base::OkStatus();
}

base::Status CheckSubjects(const Subjects& subjects, bool cluster) {
  for (int i = 0; i < subjects.size(); ++i) {
    const rbac_v1::Subject& subject = subjects[i];
    const auto field = [&](std::string_view name) {
      return fmt::format("subjects[{}].{}", i, name);
    };
    const bool account = subject.kind() == "ServiceAccount";
    if (!account && subject.kind() != "User" && subject.kind() != "Group") {
      return Unsupported(field("kind"), subject.kind(), "\"ServiceAccount\", \"User\", \"Group\"");
    }
    const std::string_view group = account ? std::string_view() : kRbacGroup;
    if (!subject.api_group().empty() && subject.api_group() != group) {
      return Unsupported(field("apiGroup"), subject.api_group(), fmt::format("\"{}\"", group));
    }
    if (subject.name().empty()) return Required(field("name"));
    if (account && cluster && subject.namespace_().empty()) return Required(field("namespace"));
  }
  return base::OkStatus();
}

// Items of a typed list, such as a RoleBindingList, need not repeat their kind: `kind` is what they
// are then.
base::Status AddObject(std::string_view json, std::string_view kind, int depth,
                       RbacObjects& objects) {
  STRATA_ASSIGN_OR_RETURN(codec::DecodedType type, codec::DecodeType(json));
  if (type.kind.empty() && !kind.empty()) type = {std::string(kind), std::string(kRbacVersion)};
  if (type.kind.empty()) return Required("kind");
  if (type.kind.ends_with("List")) {
    if (depth == kMaxListDepth) return base::InvalidArgumentError("lists in lists, too deep");
    const bool typed = type.api_version == kRbacVersion;
    const std::string of(typed ? std::string_view(type.kind).substr(0, type.kind.size() - 4)
                               : std::string_view());
    base::Status status;
    int index = 0;
    STRATA_RETURN_IF_ERROR(codec::ForEachItem(json, [&](std::string_view item) {
      if (status.ok()) {
        status = base::Annotate(AddObject(item, of, depth + 1, objects),
                                fmt::format("items[{}]", index++));
      }
    }));
    return status;
  }
  if (type.api_version != kRbacVersion) {
    if (!type.api_version.starts_with(fmt::format("{}/", kRbacGroup))) return base::OkStatus();
    return Unsupported("apiVersion", type.api_version, fmt::format("\"{}\"", kRbacVersion));
  }
  if (type.kind == "Role") {
    STRATA_ASSIGN_OR_RETURN(const rbac_v1::Role* role, Add(json, objects.roles));
    if (role->metadata().namespace_().empty()) return Required("metadata.namespace");
    return CheckRules(role->rules(), true);
  }
  if (type.kind == "ClusterRole") {
    STRATA_ASSIGN_OR_RETURN(const rbac_v1::ClusterRole* role, Add(json, objects.cluster_roles));
    if (role->has_aggregation_rule())
      STRATA_RETURN_IF_ERROR(CheckSelectors(role->aggregation_rule()));
    return CheckRules(role->rules(), false);
  }
  if (type.kind == "RoleBinding") {
    STRATA_ASSIGN_OR_RETURN(const rbac_v1::RoleBinding* binding, Add(json, objects.role_bindings));
    STRATA_RETURN_IF_ERROR(CheckRef(binding->role_ref(), false));
    if (binding->metadata().namespace_().empty()) return Required("metadata.namespace");
    return CheckSubjects(binding->subjects(), false);
  }
  if (type.kind == "ClusterRoleBinding") {
    STRATA_ASSIGN_OR_RETURN(const rbac_v1::ClusterRoleBinding* binding,
                            Add(json, objects.cluster_role_bindings));
    STRATA_RETURN_IF_ERROR(CheckRef(binding->role_ref(), true));
    return CheckSubjects(binding->subjects(), true);
  }
  return base::InvalidArgumentError(
      fmt::format("kind \"{}\" isn't one of {}", base::Printable(type.kind, 60), kRbacVersion));
}

}  // namespace

base::Status AddRbacObjects(std::string_view text, std::string_view file, RbacObjects& objects) {
  base::Status status;
  const base::Status read = codec::ForEachYamlDocument(text, [&](codec::YamlDocument document) {
    status = base::Annotate(AddObject(document.json, "", 0, objects),
                            fmt::format("{}:{}", file, document.line));
    return status.ok();
  });
  return status.ok() ? base::Annotate(read, file) : status;
}

}  // namespace strata::auth
