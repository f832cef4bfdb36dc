#include "server/registry/image_v1.h"

#include <algorithm>
#include <utility>

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

// The words of metav1 and of the group's types in Go, which clients show.
Column Name() {
  return {"Name", "string", "name",
          "Name must be unique within a namespace. Is required when creating resources, although "
          "some resources may allow a client to request the generation of an appropriate name "
          "automatically. Name is primarily intended for creation idempotence and configuration "
          "definition. Cannot be updated. More info: "
          "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"};
}

Column Reference(int priority = 0) {
  return {"Image Reference", "string", "",
          "dockerImageReference is the string that can be used to pull this image.", priority};
}

Column Updated() {
  return {"Updated", "string", "", "Last update time."};
}

template <typename Object>
image::Cells CellsOf(const google::protobuf::Message& object, base::WallTime now) {
  return image::CellsOf(static_cast<const Object&>(object), now);
}

const Table kStreamTable = {
    {Name(),
     {"Image Repository", "string", "",
      "dockerImageRepository represents the effective location this stream may be accessed at. "
      "May be empty until the server determines where the repository is located"},
     {"Tags", "string", "", "Human readable list of tags."},
     Updated()},
    CellsOf<v1::ImageStream>};

const Table kImageTable = {{Name(), Reference()}, CellsOf<v1::Image>};

const Table kStreamTagTable = {
    {Name(),
     Reference(),
     Updated(),
     {"Image Name", "string", "", "image associated with the ImageStream and tag.", 1}},
    CellsOf<v1::ImageStreamTag>};

const Table kTagTable = {
    {Name(),
     {"Spec", "string", "",
      "spec is the spec tag associated with this image stream tag, and it may be null if only "
      "pushes have occurred to this image stream."},
     {"Status", "string", "",
      "status is the status tag details associated with this image stream tag, and it may be null "
      "if no push or import has been performed."},
     {"History", "number", "", "Number of history entries"},
     {"Updated", "string", "", "Last updated at"}},
    CellsOf<v1::ImageTag>};

const Table kStreamImageTable = {
    {Name(),
     Updated(),
     Reference(1),
     {"Image Name", "string", "", "image associated with the ImageStream and image name.", 1}},
    CellsOf<v1::ImageStreamImage>};

// Image streams are named, so that clients find their layers.
std::vector<Resource> LayersAlone() {
  const Resource& layers = ImageStreamLayers();
  return {Stored(records::Kind::kImageStream, true),
          {.name = layers.name, .kind = layers.kind, .type = layers.type, .verbs = layers.verbs}};
}

std::vector<Resource> Resources() {
  Resource images = Stored(records::Kind::kImage, false);
  images.type = v1::Image::descriptor();
  images.list_kind = "ImageList";
  images.list_type = v1::ImageList::descriptor();
  images.verbs = {"get", "list", "watch"};
  images.table = &kImageTable;
  Resource streams = Stored(records::Kind::kImageStream, true);
  streams.type = v1::ImageStream::descriptor();
  streams.categories = {"all"};
  streams.list_kind = "ImageStreamList";
  streams.list_type = v1::ImageStreamList::descriptor();
  streams.verbs = {"get", "list", "watch"};
  streams.table = &kStreamTable;
  // As stored: what a read would fill in isn't looked at.
  for (const char* field : {"spec.dockerImageRepository", "status.dockerImageRepository"})
    streams.selectable_fields.emplace_back(field);
  return {std::move(images),
          {.name = "imagesignatures",
           .singular = "imagesignature",
           .kind = "ImageSignature",
           .namespaced = false,
           .unserved = {"create", "delete"}},
          {.name = "imagestreamimages",
           .singular = "imagestreamimage",
           .kind = "ImageStreamImage",
           .type = v1::ImageStreamImage::descriptor(),
           .verbs = {"get"},
           .short_names = {"isimage"},
           .computed = true,
           .table = &kStreamImageTable},
          {.name = "imagestreamimports",
           .singular = "imagestreamimport",
           .kind = "ImageStreamImport",
           .unserved = {"create"}},
          {.name = "imagestreammappings",
           .singular = "imagestreammapping",
           .kind = "ImageStreamMapping",
           .unserved = {"create"}},
          std::move(streams),
          {.name = "imagestreams/layers",
           .kind = "ImageStreamLayers",
           .type = v1::ImageStreamLayers::descriptor(),
           .verbs = {"get"}},
          {.name = "imagestreams/status",
           .kind = "ImageStream",
           .type = v1::ImageStream::descriptor(),
           .verbs = {"get"}},
          {.name = "imagestreamtags",
           .singular = "imagestreamtag",
           .kind = "ImageStreamTag",
           .type = v1::ImageStreamTag::descriptor(),
           .list_kind = "ImageStreamTagList",
           .list_type = v1::ImageStreamTagList::descriptor(),
           .verbs = {"get", "list"},
           .short_names = {"istag"},
           .computed = true,
           .table = &kStreamTagTable},
          {.name = "imagetags",
           .singular = "imagetag",
           .kind = "ImageTag",
           .type = v1::ImageTag::descriptor(),
           .list_kind = "ImageTagList",
           .list_type = v1::ImageTagList::descriptor(),
           .verbs = {"get", "list"},
           .short_names = {"itag"},
           .computed = true,
           .table = &kTagTable}};
}

std::vector<Resource> ResourcesWithSecrets() {
  std::vector<Resource> resources = Resources();
  Resource secrets{.name = "imagestreams/secrets",
                   .kind = "SecretList",
                   .package = "core",
                   .type = v1::SecretList::descriptor(),
                   .list_kind = "SecretList",
                   .verbs = {"get"}};
  const auto behind = std::find_if(resources.begin(), resources.end(), [&](const Resource& other) {
    return other.name > secrets.name;
  });
  resources.insert(behind, std::move(secrets));
  return resources;
}

Group GroupOf(std::vector<Resource> resources) {
  return {std::string(records::kGroup), std::string(records::kVersion), "image",
          std::move(resources)};
}

}  // namespace

const Group& ImageV1() {
  static const Group group = GroupOf(Resources());
  return group;
}

const Group& ImageV1WithSecrets() {
  static const Group group = GroupOf(ResourcesWithSecrets());
  return group;
}

const Group& ImageV1LayersAlone() {
  static const Group group = GroupOf(LayersAlone());
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

const Resource& ImageStreamSecrets() {
  static const Resource& resource = *ImageV1WithSecrets().Find("imagestreams/secrets");
  return resource;
}

const Resource& ImageStreamStatus() {
  static const Resource& resource = *ImageV1().Find("imagestreams/status");
  return resource;
}

const Resource& ImageStreamTags() {
  static const Resource& resource = *ImageV1().Find("imagestreamtags");
  return resource;
}

const Resource& ImageStreamImages() {
  static const Resource& resource = *ImageV1().Find("imagestreamimages");
  return resource;
}

const Resource& ImageTags() {
  static const Resource& resource = *ImageV1().Find("imagetags");
  return resource;
}

const Resource& Images() {
  static const Resource& resource = *ImageV1().Find("images");
  return resource;
}

}  // namespace strata::registry
