#include "server/registry/image_v1.h"

#include "proto/image/image_v1.pb.h"
#include "storage/records/kinds.h"

namespace strata::registry {
namespace {

namespace v1 = ::github::com::openshift::api::image::v1;

// What records say of a kind that is served as it is stored.
Resource Stored(records::Kind kind, bool namespaced) {
  const records::KindNames& names = records::NamesOf(kind);
  Resource resource{.name = std::string(names.resource),
                    .singular = std::string(names.singular),
                    .kind = std::string(names.name),
                    .namespaced = namespaced,
                    .stored = true};
  if (!names.short_name.empty()) resource.short_names = {std::string(names.short_name)};
  return resource;
}

std::vector<Resource> Resources() {
  // Image streams can't be listed, so they aren't in the category `all`: `kubectl get all` would
  // list them, and fail.
  Resource streams = Stored(records::Kind::kImageStream, true);
  streams.type = v1::ImageStream::descriptor();
  streams.verbs = {"get"};
  return {std::move(streams),
          {.name = "imagestreams/layers",
           .kind = "ImageStreamLayers",
           .type = v1::ImageStreamLayers::descriptor(),
           .verbs = {"get"}}};
}

}  // namespace

const Group& ImageV1() {
  static const Group group(std::string(records::kGroup), std::string(records::kVersion), "image",
                           Resources());
  return group;
}

const Resource& ImageStreams() {
  static const Resource& resource = *ImageV1().Find("imagestreams");
  return resource;
}

const Resource& ImageStreamLayers() {
  static const Resource& resource = *ImageV1().Find("imagestreams/layers");
  return resource;
}

}  // namespace strata::registry
