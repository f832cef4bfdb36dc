// Roles and bindings of a cluster, whatever they are: what a policy decides is what a walk over all
// of them says, as kube-apiserver walks (k8s.io/kubernetes pkg/registry/rbac/validation/rule.go).
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "server/auth/rbac.h"
#include "test/fuzz/input.h"

namespace {

using namespace strata;
namespace rbac_v1 = auth::rbac_v1;
using Strings = google::protobuf::RepeatedPtrField<std::string>;
using Subjects = google::protobuf::RepeatedPtrField<rbac_v1::Subject>;
using Rules = google::protobuf::RepeatedPtrField<rbac_v1::PolicyRule>;

// Few words, so that they meet; or the input's own.
template <size_t N>
std::string Pick(fuzz::Input& input, const std::array<const char*, N>& words) {
  const uint8_t byte = input.Byte();
  return byte == 0xff ? std::string(input.Text()) : words[byte % N];
}

std::string Name(fuzz::Input& input) {
  return Pick(input, std::array{"a", "b", "c", ""});
}

void AddRules(fuzz::Input& input, Rules& rules) {
  for (int i = input.Byte() % 3; i > 0; --i) {
    auto& rule = *rules.Add();
    const uint8_t parts = input.Byte();
    rule.add_verbs(Pick(input, std::array{"get", "list", "*"}));
    if ((parts & 1) != 0)
      rule.add_api_groups(Pick(input, std::array{"image.openshift.io", "", "*"}));
    if ((parts & 2) != 0) {
      rule.add_resources(Pick(input, std::array{"imagestreams", "imagestreams/layers", "*/layers",
                                                "secrets", "*", "imagestreams/*", "/layers"}));
    }
    if ((parts & 4) != 0) rule.add_resource_names(Name(input));
    if ((parts & 8) != 0)
      rule.add_non_resource_urls(Pick(input, std::array{"*", "/healthz", "/healthz/*", "/"}));
  }
}

void AddSubjects(fuzz::Input& input, Subjects& subjects) {
  for (int i = input.Byte() % 3; i > 0; --i) {
    auto& subject = *subjects.Add();
    subject.set_kind(Pick(input, std::array{"User", "Group", "ServiceAccount", ""}));
    subject.set_name(Name(input));
    subject.set_namespace_(Name(input));
  }
}

template <typename Binding>
Binding BindingOf(fuzz::Input& input) {
  Binding binding;
  binding.mutable_metadata()->set_name(Name(input));
  binding.mutable_role_ref()->set_kind(Pick(input, std::array{"ClusterRole", "Role", ""}));
  binding.mutable_role_ref()->set_name(Name(input));
  AddSubjects(input, *binding.mutable_subjects());
  return binding;
}

rbac_v1::ClusterRole ClusterRoleOf(fuzz::Input& input) {
  rbac_v1::ClusterRole role;
  role.mutable_metadata()->set_name(Name(input));
  const uint8_t labels = input.Byte();
  if ((labels & 1) != 0) (*role.mutable_metadata()->mutable_labels())["l"] = Name(input);
  if ((labels & 2) != 0) {
    auto& selector = *role.mutable_aggregation_rule()->add_cluster_role_selectors();
    (*selector.mutable_match_labels())["l"] = Name(input);
  }
  AddRules(input, *role.mutable_rules());
  return role;
}

auth::RbacObjects ObjectsOf(fuzz::Input& input) {
  auth::RbacObjects objects;
  while (!input.empty()) {
    switch (input.Byte() % 4) {
      case 0: {
        auto& role = objects.roles.emplace_back();
        role.mutable_metadata()->set_namespace_(Name(input));
        role.mutable_metadata()->set_name(Name(input));
        AddRules(input, *role.mutable_rules());
        break;
      }
      case 1:
        objects.cluster_roles.push_back(ClusterRoleOf(input));
        break;
      case 2: {
        const std::string ns = Name(input);
        auto& binding = objects.role_bindings.emplace_back(BindingOf<rbac_v1::RoleBinding>(input));
        binding.mutable_metadata()->set_namespace_(ns);
        break;
      }
      default:
        objects.cluster_role_bindings.push_back(BindingOf<rbac_v1::ClusterRoleBinding>(input));
    }
  }
  return objects;
}

bool Has(const Strings& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

bool Allows(const rbac_v1::PolicyRule& rule, const api::RequestInfo& request) {
  if (!Has(rule.verbs(), "*") && !Has(rule.verbs(), request.verb)) return false;
  if (!request.is_resource) {
    return std::any_of(rule.non_resource_urls().begin(), rule.non_resource_urls().end(),
                       [&](std::string url) {
                         if (url == "*" || url == request.path) return true;
                         const bool prefix = url.ends_with('*');
                         while (url.ends_with('*')) url.pop_back();
                         return prefix && request.path.starts_with(url);
                       });
  }
  if (!Has(rule.api_groups(), "*") && !Has(rule.api_groups(), request.api_group)) return false;
  const bool sub = !request.subresource.empty();
  const std::string whole = request.resource + (sub ? "/" + request.subresource : "");
  if (!Has(rule.resources(), "*") && !Has(rule.resources(), whole) &&
      !(sub && Has(rule.resources(), "*/" + request.subresource)))
    return false;
  return rule.resource_names().empty() || Has(rule.resource_names(), request.name);
}

bool IsSubject(const Subjects& subjects, const auth::UserInfo& user, const std::string& ns) {
  return std::any_of(subjects.begin(), subjects.end(), [&](const rbac_v1::Subject& subject) {
    if (subject.kind() == "User") return subject.name() == user.name;
    if (subject.kind() == "Group")
      return std::find(user.groups.begin(), user.groups.end(), subject.name()) != user.groups.end();
    const std::string& account_ns = subject.namespace_().empty() ? ns : subject.namespace_();
    return subject.kind() == "ServiceAccount" && !account_ns.empty() &&
           user.name == "system:serviceaccount:" + account_ns + ":" + subject.name();
  });
}

// The last of those with its name, which is the one that counts.
template <typename Object>
const Object* Last(const std::vector<Object>& all, const std::string& ns, const std::string& name) {
  const auto found = std::find_if(all.rbegin(), all.rend(), [&](const Object& one) {
    return one.metadata().namespace_() == ns && one.metadata().name() == name;
  });
  return found == all.rend() ? nullptr : &*found;
}

class Walk {
 public:
  Walk(const auth::RbacObjects& objects, const auth::UserInfo& user,
       const api::RequestInfo& request)
      : objects_(objects), user_(user), request_(request) {}

  bool Allowed() const {
    for (const auto& binding : objects_.cluster_role_bindings)
      if (Counts(objects_.cluster_role_bindings, binding) && Binds(binding, "")) return true;
    if (!request_.is_resource || request_.ns.empty()) return false;
    for (const auto& binding : objects_.role_bindings) {
      if (binding.metadata().namespace_() != request_.ns) continue;
      if (Counts(objects_.role_bindings, binding) && Binds(binding, request_.ns)) return true;
    }
    return false;
  }

 private:
  template <typename Object>
  static bool Counts(const std::vector<Object>& all, const Object& one) {
    return Last(all, one.metadata().namespace_(), one.metadata().name()) == &one;
  }

  template <typename Binding>
  bool Binds(const Binding& binding, const std::string& ns) const {
    if (!IsSubject(binding.subjects(), user_, ns)) return false;
    const std::string& name = binding.role_ref().name();
    if (binding.role_ref().kind() == "ClusterRole") {
      std::set<std::string> seen;
      return ClusterRoleAllows(name, seen);
    }
    const auto* role = Last(objects_.roles, ns, name);
    return binding.role_ref().kind() == "Role" && !ns.empty() && role != nullptr &&
           Any(role->rules());
  }

  bool Any(const Rules& rules) const {
    return std::any_of(rules.begin(), rules.end(),
                       [&](const auto& rule) { return Allows(rule, request_); });
  }

  // By itself, or as its aggregation rule selects.
  bool ClusterRoleAllows(const std::string& name, std::set<std::string>& seen) const {
    const auto* role = Last(objects_.cluster_roles, "", name);
    if (role == nullptr || !seen.insert(name).second) return false;
    if (!role->has_aggregation_rule()) return Any(role->rules());
    for (const auto& selector : role->aggregation_rule().cluster_role_selectors()) {
      const std::string& wanted = selector.match_labels().at("l");
      for (const auto& other : objects_.cluster_roles) {
        const auto label = other.metadata().labels().find("l");
        if (label == other.metadata().labels().end() || label->second != wanted) continue;
        if (!Counts(objects_.cluster_roles, other)) continue;
        if (ClusterRoleAllows(other.metadata().name(), seen)) return true;
      }
    }
    return false;
  }

  const auth::RbacObjects& objects_;
  const auth::UserInfo& user_;
  const api::RequestInfo& request_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::array users = {auth::UserInfo{"a", "", {"b", "c"}, {}},
                                   auth::UserInfo{"system:serviceaccount:a:b", "", {}, {}},
                                   auth::UserInfo{"system:serviceaccount::a", "", {""}, {}}};
  static const std::vector requests = [] {
    std::vector<api::RequestInfo> all;
    for (const char* target : {"/apis/image.openshift.io/v1/namespaces/a/imagestreams/b/layers",
                               "/apis/image.openshift.io/v1/namespaces/b/imagestreams",
                               "/apis/image.openshift.io/v1/imagestreams", "/healthz/etcd"})
      all.push_back(*api::ParseRequestInfo("GET", target));
    return all;
  }();
  fuzz::Input input(data, size);
  const auth::RbacObjects objects = ObjectsOf(input);
  const auth::Policy policy(objects);
  for (const auth::UserInfo& user : users) {
    for (const api::RequestInfo& request : requests) {
      const auth::Decision decision = policy.Decide(user, request);
      const bool allowed = decision.verdict == auth::Decision::Verdict::kAllow;
      if (allowed != Walk(objects, user, request).Allowed()) std::abort();
      if (allowed && decision.reason.empty()) std::abort();
    }
  }
  return 0;
}
