#include "server/registry/resource.h"

#include <algorithm>
#include <utility>

namespace strata::registry {
namespace {

// The verbs of a path.
constexpr std::string_view kOfObjects[] = {"get", "update", "patch", "delete"};
constexpr std::string_view kOfCollections[] = {"list", "create", "deletecollection"};
// Of a resource of namespaces, over all of them.
constexpr std::string_view kOfAll[] = {"list"};
constexpr std::string_view kOfWatches[] = {"watch"};

std::span<const std::string_view> VerbsOf(const Resource& resource, Scope scope, bool watch) {
  if (watch) return kOfWatches;
  if (scope == Scope::kObject) return kOfObjects;
  return scope == Scope::kCluster && resource.namespaced ? std::span<const std::string_view>(kOfAll)
                                                         : kOfCollections;
}

bool IsKnown(const Target& target) {
  const auto verbs = VerbsOf(*target.resource, target.scope, target.watch);
  return std::any_of(verbs.begin(), verbs.end(),
                     [&](std::string_view verb) { return target.resource->knows(verb); });
}

// Whether `name` is "parent" or, with a subresource, "parent/subresource". Every request asks.
bool IsNamed(std::string_view name, std::string_view parent, std::string_view subresource) {
  if (subresource.empty()) return name == parent;
  return name.size() == parent.size() + 1 + subresource.size() && name.starts_with(parent) &&
         name[parent.size()] == '/' && name.ends_with(subresource);
}

}  // namespace

std::string_view Resource::parent() const {
  return std::string_view(name).substr(0, name.find('/'));
}

std::string_view Resource::subresource() const {
  return std::string_view(name).substr(std::min(parent().size() + 1, name.size()));
}

bool Resource::serves(std::string_view verb) const {
  return std::find(verbs.begin(), verbs.end(), verb) != verbs.end();
}

bool Resource::knows(std::string_view verb) const {
  return serves(verb) || std::find(unserved.begin(), unserved.end(), verb) != unserved.end();
}

std::string Resource::go_list_type() const {
  return (package.empty() ? group->package() : package) + "." + list_kind;
}

codec::TypeMeta Resource::type_meta() const {
  return {.kind = kind, .api_version = group->group_version()};
}

std::string Resource::qualified() const {
  return std::string(parent()) + "." + group->name();
}

Group::Group(std::string name, std::string version, std::string package,
             std::vector<Resource> resources)
    : name_(std::move(name)),
      version_(std::move(version)),
      group_version_(name_ + "/" + version_),
      package_(std::move(package)),
      resources_(std::move(resources)) {
  for (Resource& resource : resources_) resource.group = this;
}

const Resource* Group::Find(std::string_view name) const {
  const auto found = std::find_if(resources_.begin(), resources_.end(),
                                  [&](const Resource& one) { return one.name == name; });
  return found == resources_.end() ? nullptr : &*found;
}

bool Group::announces(const Resource& resource) const {
  return std::any_of(resources_.begin(), resources_.end(), [&](const Resource& one) {
    return !one.verbs.empty() && (&one == &resource || one.parent() == resource.name);
  });
}

Target TargetOf(const Groups& groups, std::span<const std::string> parts) {
  if (parts.size() < 4 || parts[0] != "apis") return {};
  const auto group = std::find_if(groups.begin(), groups.end(), [&](const Group* one) {
    return one->name() == parts[1] && one->version() == parts[2];
  });
  if (group == groups.end()) return {};
  parts = parts.subspan(3);
  Target target{.watch = parts[0] == "watch"};
  if (target.watch) parts = parts.subspan(1);
  const bool in_namespace = parts.size() > 2 && parts[0] == "namespaces";
  if (in_namespace) parts = parts.subspan(2);
  if (parts.empty() || parts.size() > 3) return {};
  if (parts.size() == 1) target.scope = in_namespace ? Scope::kNamespace : Scope::kCluster;
  const std::string_view subresource = parts.size() == 3 ? std::string_view(parts[2]) : "";
  for (const Resource& one : (*group)->resources()) {
    if (!IsNamed(one.name, parts[0], subresource)) continue;
    if (one.namespaced != in_namespace && target.scope != Scope::kCluster) return {};
    target.resource = &one;
    return IsKnown(target) ? target : Target{};
  }
  return {};
}

std::string PathOf(const Resource& resource, Scope scope, bool watch) {
  std::string path = "/apis/" + resource.group->group_version();
  if (watch) path += "/watch";
  if (resource.namespaced && scope != Scope::kCluster) path += "/namespaces/{namespace}";
  path += "/" + std::string(resource.parent());
  if (scope == Scope::kObject) path += "/{name}";
  if (!resource.subresource().empty()) path += "/" + std::string(resource.subresource());
  return path;
}

}  // namespace strata::registry
