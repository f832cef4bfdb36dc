// What this server serves, said once: routes, discovery, OpenAPI, the labels of metrics and the
// texts of errors derive from it. A resource is a value, as a codec's plan is (lib/codec/plan.h);
// its endpoints, which have state, are bound to it by the router.
#pragma once

#include <google/protobuf/descriptor.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/codec/encode_json.h"
#include "server/registry/table.h"

namespace strata::registry {

class Group;

// One resource, or subresource.
struct Resource {
  std::string name;      // "imagestreams", or of a subresource "imagestreams/layers"
  std::string singular;  // empty for subresources
  std::string kind;
  bool namespaced = true;
  // Of its types in Go, which some texts name; empty: the group's.
  std::string package = {};
  // Of an object; OpenAPI's schemas come from it. Null: it is in no OpenAPI document.
  const google::protobuf::Descriptor* type = nullptr;
  // Of what is answered to a list, if there is one: "ImageStreamList".
  std::string list_kind = {};
  const google::protobuf::Descriptor* list_type = nullptr;
  // Those that are served, in alphabetical order. Without any it is named only as the parent of its
  // subresources, so that clients can map its name to a group; nobody watches, lists or deletes it.
  std::vector<std::string> verbs = {};
  // Those of the reference alone. They are announced nowhere, but their paths are known: what asks
  // there is told that the method isn't allowed, and not that there is no such resource.
  std::vector<std::string> unserved = {};
  std::vector<std::string> short_names = {};
  std::vector<std::string> categories = {};
  // By which fields lists and watches can be selected.
  std::vector<std::string> selectable_fields = {"metadata.name", "metadata.namespace"};
  // Stored as an object of its own, for which discovery has a hash.
  bool stored = false;
  // Its objects are no records, and their names more than one: "STREAM:TAG", "STREAM@IMAGE". What a
  // path may not hold is looked at in the part that names a record.
  bool computed = false;
  // Null: it has no table.
  const Table* table = nullptr;
  const Group* group = nullptr;  // set by the group

  // "imagestreams" and "layers", or nothing.
  std::string_view parent() const;
  std::string_view subresource() const;
  bool serves(std::string_view verb) const;
  // Or the reference does: its path is known.
  bool knows(std::string_view verb) const;
  // "image.ImageStreamList", where it is listed.
  std::string go_list_type() const;
  // What an encoded object says of itself.
  codec::TypeMeta type_meta() const;
  // "imagestreams.image.openshift.io": of a subresource too, for the objects are its resource's.
  std::string qualified() const;
};

// The resources of one version of a group. Immutable; its resources' addresses are their identity.
class Group {
 public:
  // `package` is that of the types in Go.
  Group(std::string name, std::string version, std::string package,
        std::vector<Resource> resources);
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  const std::string& name() const { return name_; }
  const std::string& version() const { return version_; }
  const std::string& group_version() const { return group_version_; }
  const std::string& package() const { return package_; }
  // In the order of their names.
  const std::vector<Resource>& resources() const { return resources_; }

  // By Resource::name; null if there is none.
  const Resource* Find(std::string_view name) const;
  // Whether discovery names it: something of it is served, or of a subresource of it.
  bool announces(const Resource& resource) const;

 private:
  const std::string name_, version_, group_version_, package_;
  std::vector<Resource> resources_;
};

// In the order of their names.
using Groups = std::vector<const Group*>;

// How much of a resource a path is about: one object, or those of one namespace, or all of them.
// Metrics and operations are told apart by it.
enum class Scope { kObject, kNamespace, kCluster };

// What a path is about.
struct Target {
  const Resource* resource = nullptr;  // null: nothing that is known
  Scope scope = Scope::kObject;
  // Below `watch/`, which is deprecated: whatever it is about is watched, also one object.
  bool watch = false;
};

// `parts` are the path's, without the slashes around it. The path is known if a verb is that has
// it.
Target TargetOf(const Groups& groups, std::span<const std::string> parts);

// Where it is, with what varies in braces. The scope is one that the resource has.
std::string PathOf(const Resource& resource, Scope scope, bool watch = false);

}  // namespace strata::registry
