#include "server/api/discovery.h"

#include <fmt/format.h>

#include "lib/base/bytes.h"
#include "proto/k8s/apidiscovery_v2.pb.h"
#include "proto/k8s/meta_v1.pb.h"
#include "server/api/digest.h"
#include "server/api/error.h"
#include "server/wire/encode.h"

namespace strata::api {
namespace {

namespace v2 = ::k8s::io::api::apidiscovery::v2;
namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;
using wire::MediaType;

const wire::Representation kForms[] = {
    {MediaType::kJson}, {MediaType::kJson, true}, {MediaType::kYaml}, {MediaType::kProtobuf}};

std::string KeyOf(const wire::Representation& form) {
  return std::string(wire::ContentType(form.type)) + (form.pretty ? ";pretty" : "");
}

meta::APIGroup GroupOf(const registry::Group& of) {
  meta::APIGroup group;
  group.set_name(of.name());
  auto* version = group.add_versions();
  version->set_group_version(of.group_version());
  version->set_version(of.version());
  *group.mutable_preferred_version() = *version;
  return group;
}

// Base64 of the first 8 bytes of SHA-256 of "group/version/Kind" (k8s.io/apiserver
// pkg/endpoints/discovery/storageversionhash.go).
std::string StorageVersionHash(const registry::Resource& resource) {
  if (!resource.stored) return "";
  const std::string name = resource.group->group_version() + "/" + resource.kind;
  return base::ToBase64(Sha256(name).substr(0, 8));
}

meta::APIResourceList ResourceList(const registry::Group& of) {
  meta::APIResourceList list;
  list.set_group_version(of.group_version());
  for (const registry::Resource& resource : of.resources()) {
    if (!of.announces(resource)) continue;
    auto* added = list.add_resources();
    added->set_name(resource.name);
    added->set_singular_name(resource.singular);
    added->set_namespaced(resource.namespaced);
    added->set_kind(resource.kind);
    added->mutable_verbs();  // a list, also an empty one
    for (const std::string& verb : resource.verbs) added->mutable_verbs()->add_items(verb);
    for (const std::string& name : resource.short_names) added->add_short_names(name);
    for (const std::string& category : resource.categories) added->add_categories(category);
    added->set_storage_version_hash(StorageVersionHash(resource));
  }
  return list;
}

// An empty group and version mean those that the document stands for.
void SetKind(const std::string& kind, meta::GroupVersionKind& to) {
  to.set_group("");
  to.set_version("");
  to.set_kind(kind);
}

void AddDiscovery(const registry::Group& of, v2::APIGroupDiscoveryList& list) {
  v2::APIGroupDiscovery& group = *list.add_items();
  group.mutable_metadata()->set_name(of.name());
  v2::APIVersionDiscovery& version = *group.add_versions();
  version.set_version(of.version());
  version.set_freshness("Current");
  for (const registry::Resource& resource : of.resources()) {
    if (!of.announces(resource)) continue;
    if (resource.subresource().empty()) {
      v2::APIResourceDiscovery& added = *version.add_resources();
      added.set_resource(resource.name);
      SetKind(resource.kind, *added.mutable_response_kind());
      added.set_scope(resource.namespaced ? "Namespaced" : "Cluster");
      added.set_singular_resource(resource.singular);
      for (const std::string& verb : resource.verbs) added.add_verbs(verb);
      for (const std::string& name : resource.short_names) added.add_short_names(name);
      for (const std::string& category : resource.categories) added.add_categories(category);
      continue;
    }
    // Its resource stands before it: names are in order.
    auto& added = *version.mutable_resources(version.resources_size() - 1)->add_subresources();
    added.set_subresource(std::string(resource.subresource()));
    SetKind(resource.kind, *added.mutable_response_kind());
    for (const std::string& verb : resource.verbs) added.add_verbs(verb);
  }
}

}  // namespace

Discovery::Discovery(const registry::Groups& groups) {
  const auto add = [&](const std::string& path, const google::protobuf::Message& document,
                       const codec::TypeMeta& type) {
    for (const wire::Representation& form : kForms) {
      bodies_[path][KeyOf(form)] =
          std::make_shared<const std::string>(wire::Encode(document, type, form));
    }
  };
  meta::APIGroupList plain;
  v2::APIGroupDiscoveryList all;
  for (const registry::Group* group : groups) {
    const std::string root = "/apis/" + group->name();
    *plain.add_groups() = GroupOf(*group);
    AddDiscovery(*group, all);
    add(root, GroupOf(*group), {"APIGroup", "v1"});
    add(root + "/" + group->version(), ResourceList(*group), {"APIResourceList", "v1"});
  }
  // Kubernetes strips the apiVersion of the group list for its oldest clients (discovery/root.go).
  add("/apis", plain, {"APIGroupList", ""});
  const auto aggregate = [&](const char* api_version, Aggregated& to) {
    const codec::TypeMeta type{"APIGroupDiscoveryList", api_version};
    // One for all forms, as in the reference.
    to.etag = Etag(codec::EncodeJson(all, type));
    for (const wire::Representation& form : kForms) {
      to.bodies[KeyOf(form)] = std::make_shared<const std::string>(wire::Encode(all, type, form));
    }
  };
  aggregate("apidiscovery.k8s.io/v2", v2_);
  aggregate("apidiscovery.k8s.io/v2beta1", v2beta1_);
}

std::vector<std::string_view> Discovery::Paths() const {
  std::vector<std::string_view> paths;
  for (const auto& [path, bodies] : bodies_) paths.push_back(path);
  return paths;
}

http::Response Discovery::AnswerAggregated(const Aggregated& document,
                                           const wire::Representation& form,
                                           std::string_view if_none_match) {
  http::Response response;
  response.headers.Add("cache-control", "public");
  response.headers.Add("etag", document.etag);
  response.headers.Add("vary", "Accept");
  if (if_none_match == document.etag) {
    response.status = 304;
    return response;
  }
  // kube-aggregator falls back to the plain list unless the parameters come back.
  response.headers.Add("content-type",
                       fmt::format("{};g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList",
                                   wire::ContentType(form.type), form.beta ? "v2beta1" : "v2"));
  response.body = document.bodies.find(KeyOf(form))->second;
  return response;
}

http::Response Discovery::Answer(std::string_view path, const wire::Preference& preference,
                                 std::string_view if_none_match) const {
  if (path == "/apis") {
    const auto groups = wire::NegotiateGroups(preference);
    if (groups && groups->transform == wire::Transform::kGroupDiscovery)
      return AnswerAggregated(groups->beta ? v2beta1_ : v2_, *groups, if_none_match);
  }
  const auto form = wire::NegotiatePlain(preference);
  if (!form) return ToResponse(NotAcceptable(wire::Refusal::kConversion), preference);
  http::Response response;
  response.headers.Add("content-type", std::string(wire::ContentType(form->type)));
  response.body = bodies_.find(path)->second.at(KeyOf(*form));
  return response;
}

}  // namespace strata::api
