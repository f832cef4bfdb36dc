#include "server/auth/rbac.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

namespace strata::auth {
namespace {

using Strings = google::protobuf::RepeatedPtrField<std::string>;
using Selector = k8s::io::apimachinery::pkg::apis::meta::v1::LabelSelector;
using Labels = google::protobuf::Map<std::string, std::string>;

bool Has(const Strings& list, std::string_view value) {
  return std::any_of(list.begin(), list.end(), [&](const std::string& one) { return one == value || one == "*"; });
}

// evaluation_helpers.go ResourceMatches: `*` is all, `*/sub` the subresource of any; `imagestreams` isn't its subresources.
bool ResourceMatches(const Strings& resources, std::string_view resource, std::string_view subresource) {
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
    return one.ends_with('*') && path.starts_with(one.substr(0, one.size() - 1));
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
    const bool in = exists && std::find(requirement.values().begin(), requirement.values().end(), found->second) !=
                                  requirement.values().end();
    const std::string& op = requirement.operator_();
    if ((op == "In" && !in) || (op == "NotIn" && in) || (op == "Exists" && !exists) || (op == "DoesNotExist" && exists)) {
      return false;
    }
    if (op != "In" && op != "NotIn" && op != "Exists" && op != "DoesNotExist") return false;
  }
  return true;
}

// The rules of each cluster role; those of one that aggregates are gathered from the others, round after round, for
// aggregates may select each other.
std::map<std::string, std::vector<rbac_v1::PolicyRule>> ClusterRules(const RbacObjects& objects) {
  std::map<std::string, const rbac_v1::ClusterRole*> roles;
  for (const auto& role : objects.cluster_roles) roles[role.metadata().name()] = &role;
  std::map<std::string, std::vector<rbac_v1::PolicyRule>> rules;
  for (const auto& [name, role] : roles) rules[name].assign(role->rules().begin(), role->rules().end());
  for (size_t round = 0; round < roles.size(); ++round) {
    bool grew = false;
    for (const auto& [name, role] : roles) {
      if (!role->has_aggregation_rule()) continue;
      std::vector<rbac_v1::PolicyRule> gathered;
      for (const auto& [other, selected] : roles) {
        if (other == name) continue;
        const auto& selectors = role->aggregation_rule().cluster_role_selectors();
        if (std::none_of(selectors.begin(), selectors.end(), [&](const Selector& selector) {
              return SelectorMatches(selector, selected->metadata().labels());
            })) {
          continue;
        }
        gathered.insert(gathered.end(), rules[other].begin(), rules[other].end());
      }
      grew = grew || gathered.size() > rules[name].size();
      rules[name] = std::move(gathered);
    }
    if (!grew) break;
  }
  return rules;
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
    for (const auto& entry : fs::directory_iterator(path, error)) {
      const std::string extension = entry.path().extension();
      if (extension == ".yaml" || extension == ".yml" || extension == ".json") inside.push_back(entry.path());
    }
    if (error) return base::InvalidArgumentError(fmt::format("{}: {}", path, error.message()));
    std::sort(inside.begin(), inside.end());
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

}  // namespace

Policy::Policy(const RbacObjects& objects) {
  std::map<std::string, Rules> cluster_rules;
  for (auto& [name, rules] : ClusterRules(objects)) {
    cluster_rules[name] = std::make_shared<const std::vector<rbac_v1::PolicyRule>>(std::move(rules));
  }
  std::map<std::string, Rules> role_rules;  // by "namespace/name"
  for (const auto& role : objects.roles) {
    role_rules[role.metadata().namespace_() + "/" + role.metadata().name()] =
        std::make_shared<const std::vector<rbac_v1::PolicyRule>>(role.rules().begin(), role.rules().end());
  }
  std::map<std::string, const rbac_v1::ClusterRoleBinding*> cluster_bindings;
  for (const auto& binding : objects.cluster_role_bindings) cluster_bindings[binding.metadata().name()] = &binding;
  std::map<std::string, const rbac_v1::RoleBinding*> bindings;
  for (const auto& binding : objects.role_bindings) {
    bindings[binding.metadata().namespace_() + "/" + binding.metadata().name()] = &binding;
  }

  for (const auto& [name, binding] : cluster_bindings) {
    const auto rules = cluster_rules.find(binding->role_ref().name());
    if (rules == cluster_rules.end()) continue;
    AddGrants(binding->subjects(), rules->second, "", fmt::format("ClusterRoleBinding \"{}\"", name), binding->role_ref());
  }
  for (const auto& [name, binding] : bindings) {
    const std::string& ns = binding->metadata().namespace_();
    const bool cluster = binding->role_ref().kind() == "ClusterRole";
    const auto& from = cluster ? cluster_rules : role_rules;
    const auto rules = from.find(cluster ? binding->role_ref().name() : ns + "/" + binding->role_ref().name());
    if (rules == from.end()) continue;
    AddGrants(binding->subjects(), rules->second, ns,
              fmt::format("RoleBinding \"{}/{}\"", binding->metadata().name(), ns), binding->role_ref());
  }
}

void Policy::AddGrants(const google::protobuf::RepeatedPtrField<rbac_v1::Subject>& subjects, const Rules& rules,
                       const std::string& ns, const std::string& binding, const rbac_v1::RoleRef& ref) {
  for (const rbac_v1::Subject& subject : subjects) {
    std::string name = subject.name();
    std::string key = (subject.kind() == "Group" ? "g:" : "u:") + name;
    std::string who = fmt::format("{} \"{}\"", subject.kind(), name);
    if (subject.kind() == "ServiceAccount") {
      const std::string& account_ns = subject.namespace_().empty() ? ns : subject.namespace_();
      key = fmt::format("u:system:serviceaccount:{}:{}", account_ns, name);
      who = fmt::format("ServiceAccount \"{}/{}\"", name, account_ns);
    }
    grants_[key].push_back(
        {rules, ns, fmt::format("RBAC: allowed by {} of {} \"{}\" to {}", binding, ref.kind(), ref.name(), who)});
  }
}

const Policy::Grant* Policy::Find(std::string_view subject, const api::RequestInfo& request) const {
  const auto found = grants_.find(subject);
  if (found == grants_.end()) return nullptr;
  for (const Grant& grant : found->second) {
    // What a binding of a namespace grants is of that namespace alone, and never a path.
    if (!grant.ns.empty() && (!request.is_resource || grant.ns != request.ns)) continue;
    for (const rbac_v1::PolicyRule& rule : *grant.rules) {
      if (RuleAllows(rule, request)) return &grant;
    }
  }
  return nullptr;
}

Decision Policy::Decide(const UserInfo& user, const api::RequestInfo& request) const {
  std::string key = "u:" + user.name;
  const Grant* grant = Find(key, request);
  for (size_t i = 0; grant == nullptr && i < user.groups.size(); ++i) {
    key.assign("g:").append(user.groups[i]);
    grant = Find(key, request);
  }
  if (grant == nullptr) return {};
  return {Decision::Verdict::kAllow, grant->reason};
}

base::StatusOr<std::unique_ptr<Rbac>> Rbac::Open(const std::vector<std::string>& paths, files::FileWatcher& watcher) {
  STRATA_ASSIGN_OR_RETURN(const std::vector<std::string> files, FilesOf(paths));
  auto state = std::make_shared<State>();
  const auto load = [state, files](const std::vector<std::string>& contents) {
    RbacObjects objects;
    STRATA_RETURN_IF_ERROR(AddRbacObjects(BuiltinRoles(), "built-in roles", objects));
    for (size_t i = 0; i < files.size(); ++i) STRATA_RETURN_IF_ERROR(AddRbacObjects(contents[i], files[i], objects));
    auto policy = std::make_shared<const Policy>(objects);
    absl::MutexLock lock(&state->mu);
    state->policy = std::move(policy);
    return base::OkStatus();
  };
  STRATA_RETURN_IF_ERROR(files.empty() ? load({}) : watcher.Watch("rbac-file", files, load));
  return std::unique_ptr<Rbac>(new Rbac(std::move(state)));
}

void Rbac::Authorize(const UserInfo& user, const api::RequestInfo& request, Done done) const {
  std::shared_ptr<const Policy> policy;
  {
    absl::ReaderMutexLock lock(&state_->mu);
    policy = state_->policy;
  }
  done(policy->Decide(user, request));
}

}  // namespace strata::auth
