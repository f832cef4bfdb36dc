#include "server/auth/rbac.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "lib/base/file.h"
#include "server/api/quote.h"

namespace strata::auth {
namespace {

using Strings = google::protobuf::RepeatedPtrField<std::string>;
using Selector = k8s::io::apimachinery::pkg::apis::meta::v1::LabelSelector;
using Labels = google::protobuf::Map<std::string, std::string>;

bool Has(const Strings& list, std::string_view value) {
  return std::any_of(list.begin(), list.end(),
                     [&](const std::string& one) { return one == value || one == "*"; });
}

// evaluation_helpers.go ResourceMatches: `*` is all, `*/sub` the subresource of any; `imagestreams`
// isn't its subresources.
bool ResourceMatches(const Strings& resources, std::string_view resource,
                     std::string_view subresource) {
  return std::any_of(resources.begin(), resources.end(), [&](std::string_view one) {
    if (one == "*") return true;
    const size_t slash = one.find('/');
    if (slash == std::string_view::npos) return subresource.empty() && one == resource;
    if (one.substr(slash + 1) != subresource || subresource.empty()) return false;
    return one.substr(0, slash) == "*" || one.substr(0, slash) == resource;
  });
}

bool PathMatches(const Strings& urls, std::string_view path) {
  return std::any_of(urls.begin(), urls.end(), [&](std::string_view one) {
    if (one == "*" || one == path) return true;
    return one.ends_with('*') && path.starts_with(one.substr(0, one.find_last_not_of('*') + 1));
  });
}

bool RuleAllows(const rbac_v1::PolicyRule& rule, const api::RequestInfo& request) {
  if (!Has(rule.verbs(), request.verb)) return false;
  if (!request.is_resource) return PathMatches(rule.non_resource_urls(), request.path);
  if (!Has(rule.api_groups(), request.api_group)) return false;
  if (!ResourceMatches(rule.resources(), request.resource, request.subresource)) return false;
  return rule.resource_names().empty() ||
         std::find(rule.resource_names().begin(), rule.resource_names().end(), request.name) !=
             rule.resource_names().end();
}

bool SelectorMatches(const Selector& selector, const Labels& labels) {
  for (const auto& [key, value] : selector.match_labels()) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  for (const auto& requirement : selector.match_expressions()) {
    const auto found = labels.find(requirement.key());
    const bool exists = found != labels.end();
    const bool in = exists && std::find(requirement.values().begin(), requirement.values().end(),
                                        found->second) != requirement.values().end();
    const std::string& op = requirement.operator_();
    if ((op == "In" && !in) || (op == "NotIn" && in) || (op == "Exists" && !exists) ||
        (op == "DoesNotExist" && exists)) {
      return false;
    }
    if (op != "In" && op != "NotIn" && op != "Exists" && op != "DoesNotExist") return false;
  }
  return true;
}

// The cluster roles that each aggregating one selects.
std::map<std::string, std::vector<std::string>> Selected(
    const std::map<std::string, const rbac_v1::ClusterRole*>& roles) {
  std::map<std::string, std::vector<std::string>> selected;
  for (const auto& [name, role] : roles) {
    for (const Selector& selector : role->aggregation_rule().cluster_role_selectors()) {
      for (const auto& [other, candidate] : roles) {
        if (other != name && SelectorMatches(selector, candidate->metadata().labels()))
          selected[name].push_back(other);
      }
    }
  }
  return selected;
}

// The rules of each cluster role; those of one that aggregates are the ones of the roles it
// selects, each once. Aggregates may select each other: rounds go on until nothing is added.
std::map<std::string, std::vector<rbac_v1::PolicyRule>> ClusterRules(const RbacObjects& objects) {
  std::map<std::string, const rbac_v1::ClusterRole*> roles;
  for (const auto& role : objects.cluster_roles) roles[role.metadata().name()] = &role;
  std::vector<const rbac_v1::PolicyRule*> rules;
  std::map<std::string, size_t> indexes;  // in `rules`, by a rule's protobuf form
  std::map<std::string, std::set<size_t>> of_role;
  for (const auto& [name, role] : roles) {
    std::set<size_t>& own = of_role[name];
    if (role->has_aggregation_rule()) continue;
    for (const rbac_v1::PolicyRule& rule : role->rules()) {
      const auto [at, is_new] = indexes.try_emplace(rule.SerializeAsString(), rules.size());
      if (is_new) rules.push_back(&rule);
      own.insert(at->second);
    }
  }
  const auto selected = Selected(roles);
  for (bool grew = true; grew;) {
    grew = false;
    for (const auto& [name, others] : selected) {
      std::set<size_t>& own = of_role[name];
      const size_t before = own.size();
      for (const std::string& other : others)
        own.insert(of_role[other].begin(), of_role[other].end());
      grew = grew || own.size() > before;
    }
  }
  std::map<std::string, std::vector<rbac_v1::PolicyRule>> result;
  for (const auto& [name, own] : of_role) {
    for (const size_t index : own) result[name].push_back(*rules[index]);
    result.try_emplace(name);
  }
  return result;
}

base::StatusOr<std::vector<std::string>> FilesOf(const std::vector<std::string>& paths) {
  namespace fs = std::filesystem;
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::string> inside;
    for (const auto& entry : base::ListFolder(path, error)) {
      const std::string extension = entry.path().extension();
      if (extension == ".yaml" || extension == ".yml" || extension == ".json")
        inside.push_back(entry.path());
    }
    if (error) return base::InvalidArgumentError(fmt::format("{}: {}", path, error.message()));
    std::sort(inside.begin(), inside.end());
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

}  // namespace

// Either kind of binding, and the rules of its role.
struct Policy::Binding {
  const google::protobuf::RepeatedPtrField<rbac_v1::Subject>& subjects;
  const rbac_v1::RoleRef& ref;
  std::string ns;    // empty: a ClusterRoleBinding
  std::string text;  // ClusterRoleBinding "name"
  Rules rules;
};

Policy::Policy(const RbacObjects& objects) {
  std::map<std::string, Rules> cluster_rules;
  for (auto& [name, rules] : ClusterRules(objects)) {
    cluster_rules[name] =
        std::make_shared<const std::vector<rbac_v1::PolicyRule>>(std::move(rules));
  }
  using InNamespace = std::pair<std::string, std::string>;  // and its name
  const auto in_namespace = [](const auto& object) {
    return InNamespace(object.metadata().namespace_(), object.metadata().name());
  };
  std::map<InNamespace, Rules> role_rules;
  for (const auto& role : objects.roles) {
    role_rules[in_namespace(role)] = std::make_shared<const std::vector<rbac_v1::PolicyRule>>(
        role.rules().begin(), role.rules().end());
  }
  // Of a kind that isn't known there is nothing.
  const auto find = [&](const rbac_v1::RoleRef& ref, const std::string& ns) -> Rules {
    const auto at = [](const auto& rules, const auto& key) -> Rules {
      const auto found = rules.find(key);
      return found == rules.end() ? nullptr : found->second;
    };
    if (ref.kind() == "ClusterRole") return at(cluster_rules, ref.name());
    if (ref.kind() == "Role" && !ns.empty()) return at(role_rules, InNamespace(ns, ref.name()));
    return nullptr;
  };
  std::map<std::string, const rbac_v1::ClusterRoleBinding*> cluster_bindings;
  for (const auto& binding : objects.cluster_role_bindings)
    cluster_bindings[binding.metadata().name()] = &binding;
  std::map<InNamespace, const rbac_v1::RoleBinding*> bindings;
  for (const auto& binding : objects.role_bindings) bindings[in_namespace(binding)] = &binding;

  for (const auto& [name, binding] : cluster_bindings) {
    Add({binding->subjects(), binding->role_ref(), "",
         fmt::format("ClusterRoleBinding {}", api::Quote(name)), find(binding->role_ref(), "")});
  }
  for (const auto& [key, binding] : bindings) {
    const std::string& ns = binding->metadata().namespace_();
    if (ns.empty()) continue;  // would be bound everywhere
    Add({binding->subjects(), binding->role_ref(), ns,
         fmt::format("RoleBinding {}", api::Quote(binding->metadata().name() + "/" + ns)),
         find(binding->role_ref(), ns)});
  }
  DropRepeated(users_);
  DropRepeated(groups_);
}

// Of several bindings of a role to one subject the first decides.
void Policy::DropRepeated(base::StringMap<Grants>& subjects) {
  const auto drop = [](std::vector<Grant>& grants) {
    std::set<std::pair<Rules, std::string>> seen;
    std::erase_if(grants, [&](const Grant& grant) {
      return !seen.emplace(grant.rules, grant.rules == nullptr ? grant.reason : "").second;
    });
    grants.shrink_to_fit();
  };
  for (auto& [name, grants] : subjects) {
    drop(grants.everywhere);
    for (auto& [ns, here] : grants.in_namespace) drop(here);
  }
}

// The texts are rbac.go's: clusterRoleBindingDescriber, roleBindingDescriber and the errors of its
// role getters. A subject of a kind that isn't known is nobody (rule.go appliesToUser).
void Policy::Add(const Binding& binding) {
  for (const rbac_v1::Subject& subject : binding.subjects) {
    const bool account = subject.kind() == "ServiceAccount";
    if (!account && subject.kind() != "User" && subject.kind() != "Group") continue;
    std::string name = subject.name();
    std::string who = fmt::format("{} {}", subject.kind(), api::Quote(name));
    if (account) {
      const std::string& account_ns =
          subject.namespace_().empty() ? binding.ns : subject.namespace_();
      if (account_ns.empty()) continue;
      who = fmt::format("ServiceAccount {}", api::Quote(fmt::format("{}/{}", name, account_ns)));
      name = fmt::format("system:serviceaccount:{}:{}", account_ns, subject.name());
    }
    Grants& grants = (subject.kind() == "Group" ? groups_ : users_)[name];
    Grant grant{binding.rules,
                fmt::format("RBAC: allowed by {} of {} {} to {}", binding.text, binding.ref.kind(),
                            api::Quote(binding.ref.name()), who)};
    if (binding.rules == nullptr) {
      grant.reason = fmt::format("{}.rbac.authorization.k8s.io {} not found",
                                 binding.ref.kind() == "ClusterRole" ? "clusterrole" : "role",
                                 api::Quote(binding.ref.name()));
    }
    (binding.ns.empty() ? grants.everywhere : grants.in_namespace[binding.ns])
        .push_back(std::move(grant));
  }
}

const Policy::Grant* Policy::Find(const std::vector<Grant>& grants, const api::RequestInfo& request,
                                  Missing& missing) {
  for (const Grant& grant : grants) {
    if (grant.rules == nullptr) {
      if (missing.size() < kMaxMissing &&
          std::find(missing.begin(), missing.end(), grant.reason) == missing.end())
        missing.push_back(grant.reason);
      continue;
    }
    for (const rbac_v1::PolicyRule& rule : *grant.rules) {
      if (RuleAllows(rule, request)) return &grant;
    }
  }
  return nullptr;
}

const Policy::Grant* Policy::Find(const base::StringMap<Grants>& subjects, std::string_view name,
                                  const api::RequestInfo& request, Missing& missing) {
  const auto found = subjects.find(name);
  if (found == subjects.end()) return nullptr;
  if (const Grant* grant = Find(found->second.everywhere, request, missing)) return grant;
  // What a binding of a namespace grants is of that namespace alone, and never a path.
  if (!request.is_resource || request.ns.empty()) return nullptr;
  const auto here = found->second.in_namespace.find(std::string_view(request.ns));
  return here == found->second.in_namespace.end() ? nullptr : Find(here->second, request, missing);
}

Decision Policy::Decide(const UserInfo& user, const api::RequestInfo& request) const {
  Missing missing;
  const Grant* grant = Find(users_, user.name, request, missing);
  for (size_t i = 0; grant == nullptr && i < user.groups.size(); ++i) {
    grant = Find(groups_, user.groups[i], request, missing);
  }
  if (grant != nullptr) return {Decision::Verdict::kAllow, grant->reason};
  if (missing.empty()) return {};
  const std::string list = fmt::format("{}", fmt::join(missing, ", "));
  return {Decision::Verdict::kNoOpinion,
          missing.size() == 1 ? "RBAC: " + list : "RBAC: [" + list + "]"};
}

size_t Policy::RolesOf(std::string_view user, std::string_view ns) const {
  const auto found = users_.find(user);
  if (found == users_.end()) return 0;
  const auto& [everywhere, in_namespace] = found->second;
  const auto here = in_namespace.find(ns);
  return everywhere.size() + (here == in_namespace.end() ? 0 : here->second.size());
}

void Rbac::State::Set(const RbacObjects& objects) {
  auto next = std::make_shared<const Policy>(objects);
  base::MutexLock lock(&mu);
  policy = std::move(next);
}

base::Status Rbac::Follow(const std::vector<std::string>& paths, files::FileWatcher& watcher) {
  const auto load = [state = state_](const std::vector<files::FileWatcher::File>& files) {
    RbacObjects objects;
    STRATA_RETURN_IF_ERROR(AddRbacObjects(BuiltinRoles(), "built-in roles", objects));
    for (const auto& file : files)
      STRATA_RETURN_IF_ERROR(AddRbacObjects(file.content, file.path, objects));
    state->Set(objects);
    return base::OkStatus();
  };
  if (paths.empty()) return load({});
  return watcher.WatchListed(
      "rbac-file", [paths] { return FilesOf(paths); }, load);
}

std::optional<Decision> Rbac::Authorize(const UserInfo& user, const api::RequestInfo& request,
                                        Later) const {
  std::shared_ptr<const Policy> policy;
  {
    base::MutexLock lock(&state_->mu);
    policy = state_->policy;
  }
  if (policy == nullptr)
    return Decision{Decision::Verdict::kNoOpinion, "", "the cluster's roles haven't been read yet"};
  return policy->Decide(user, request);
}

}  // namespace strata::auth
