#include "server/registry/resource.h"

#include <algorithm>
#include <utility>

namespace strata::registry {
namespace {

// Verbs whose paths name one object.
constexpr std::string_view kOfObjects[] = {"get", "update", "patch", "delete"};

bool ServesObjects(const Resource& resource) {
  return std::any_of(std::begin(kOfObjects), std::end(kOfObjects),
                     [&](std::string_view verb) { return resource.serves(verb); });
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

const Resource* ObjectAt(const Groups& groups, std::span<const std::string> parts) {
  if (parts.size() < 5 || parts[0] != "apis") return nullptr;
  const auto group = std::find_if(groups.begin(), groups.end(), [&](const Group* one) {
    return one->name() == parts[1] && one->version() == parts[2];
  });
  if (group == groups.end()) return nullptr;
  const bool namespaced = parts[3] == "namespaces" && parts.size() > 5;
  parts = parts.subspan(namespaced ? 5 : 3);
  if (parts.size() < 2 || parts.size() > 3) return nullptr;
  const std::string_view subresource = parts.size() == 3 ? std::string_view(parts[2]) : "";
  for (const Resource& one : (*group)->resources()) {
    if (one.namespaced == namespaced && IsNamed(one.name, parts[0], subresource))
      return ServesObjects(one) ? &one : nullptr;
  }
  return nullptr;
}

std::string PathOf(const Resource& resource) {
  std::string path = "/apis/" + resource.group->group_version();
  if (resource.namespaced) path += "/namespaces/{namespace}";
  path += "/" + std::string(resource.parent()) + "/{name}";
  if (!resource.subresource().empty()) path += "/" + std::string(resource.subresource());
  return path;
}

}  // namespace strata::registry
