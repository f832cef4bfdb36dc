#include "server/api/discovery.h"

#include <fmt/format.h>

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
    added->mutable_verbs();  // a list, also an empty one
    for (const std::string& verb : resource.verbs) added->mutable_verbs()->add_items(verb);
    for (const std::string& name : resource.short_names) added->add_short_names(name);
    for (const std::string& category : resource.categories) added->add_categories(category);
    added->set_storage_version_hash(resource.storage_version_hash);
  }
  return list;
}

// An empty group and version mean those that the document stands for.
void SetKind(const std::string& kind, meta::GroupVersionKind& to) {
  to.set_group("");
  to.set_version("");
  to.set_kind(kind);
}

v2::APIGroupDiscoveryList GroupDiscovery(const std::vector<Resource>& resources) {
  v2::APIGroupDiscoveryList list;
  v2::APIGroupDiscovery& group = *list.add_items();
  group.mutable_metadata()->set_name("image.openshift.io");
  v2::APIVersionDiscovery& version = *group.add_versions();
  version.set_version("v1");
  version.set_freshness("Current");
  for (const Resource& resource : resources) {
    const size_t slash = resource.name.find('/');
    if (slash == std::string::npos) {
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
    added.set_subresource(resource.name.substr(slash + 1));
    SetKind(resource.kind, *added.mutable_response_kind());
    for (const std::string& verb : resource.verbs) added.add_verbs(verb);
  }
  return list;
}

}  // namespace

// Image streams can't be listed, so they aren't in the category `all`: `kubectl get all` would list
// them, and fail.
const std::vector<Resource>& ServedResources() {
  static const std::vector<Resource> resources = {
      {"imagestreams", "imagestream", true, "ImageStream", {"get"}, {"is"}, {}, "mwmf9lCqOiA="},
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
  const v2::APIGroupDiscoveryList all = GroupDiscovery(resources);
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
