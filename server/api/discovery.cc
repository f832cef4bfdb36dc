#include "server/api/discovery.h"

#include "proto/k8s/meta_v1.pb.h"
#include "server/api/error.h"
#include "server/wire/encode.h"

namespace strata::api {
namespace {

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;
using wire::MediaType;

const wire::Representation kForms[] = {
    {MediaType::kJson}, {MediaType::kJson, true}, {MediaType::kYaml}, {MediaType::kProtobuf}};

std::string KeyOf(const wire::Representation& form) {
  return std::string(wire::ContentType(form.type)) + (form.pretty ? ";pretty" : "");
}

meta::APIGroup Group() {
  meta::APIGroup group;
  group.set_name("image.openshift.io");
  auto* version = group.add_versions();
  version->set_group_version("image.openshift.io/v1");
  version->set_version("v1");
  *group.mutable_preferred_version() = *version;
  return group;
}

meta::APIResourceList ResourceList(const std::vector<Resource>& resources) {
  meta::APIResourceList list;
  list.set_group_version("image.openshift.io/v1");
  for (const Resource& resource : resources) {
    auto* added = list.add_resources();
    added->set_name(resource.name);
    added->set_singular_name(resource.singular);
    added->set_namespaced(resource.namespaced);
    added->set_kind(resource.kind);
    for (const std::string& verb : resource.verbs) added->mutable_verbs()->add_items(verb);
    for (const std::string& name : resource.short_names) added->add_short_names(name);
    for (const std::string& category : resource.categories) added->add_categories(category);
    added->set_storage_version_hash(resource.storage_version_hash);
  }
  return list;
}

}  // namespace

const std::vector<Resource>& ServedResources() {
  static const std::vector<Resource> resources = {
      {"imagestreams/layers", "", true, "ImageStreamLayers", {"get"}}};
  return resources;
}

Discovery::Discovery(const std::vector<Resource>& resources) {
  meta::APIGroupList groups;
  *groups.add_groups() = Group();
  const meta::APIGroup group = Group();
  const meta::APIResourceList list = ResourceList(resources);
  for (const wire::Representation& form : kForms) {
    const auto add = [&](const char* path, const google::protobuf::Message& document,
                         const codec::TypeMeta& type) {
      bodies_[path][KeyOf(form)] =
          std::make_shared<const std::string>(wire::Encode(document, type, form));
    };
    // Kubernetes strips the apiVersion of the group list for its oldest clients
    // (discovery/root.go).
    add("/apis", groups, {"APIGroupList", ""});
    add("/apis/image.openshift.io", group, {"APIGroup", "v1"});
    add("/apis/image.openshift.io/v1", list, {"APIResourceList", "v1"});
  }
}

http::Response Discovery::Answer(std::string_view path, const wire::Preference& preference) const {
  const auto form = wire::NegotiatePlain(preference);
  if (!form) return ToResponse(NotAcceptable(wire::Refusal::kConversion), preference);
  http::Response response;
  response.headers.Add("content-type", std::string(wire::ContentType(form->type)));
  response.body = bodies_.find(path)->second.at(KeyOf(*form));
  return response;
}

}  // namespace strata::api
