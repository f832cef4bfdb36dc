#include "server/registry/layers_v1alpha1.h"

#include <fmt/format.h>

#include <array>
#include <string>
#include <string_view>

#include "lib/base/sizes.h"
#include "proto/layers/v1alpha1/layers.pb.h"

namespace strata::registry {
namespace {

namespace v1alpha1 = ::strata::dev::layers::v1alpha1;

// "83.4MiB": three digits and a bit, as people compare sizes.
std::string Bytes(int64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{}B", bytes);
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  // What would be printed as 1024.0 of a unit is 1.0 of the next.
  while (value >= 1023.95) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f}{}", value, kUnits[unit]);
}

// "sha256:0123456789ab", by which people know a digest again.
std::string Short(std::string_view digest) {
  constexpr size_t kHex = 12;
  const size_t colon = digest.find(':');
  return std::string(digest.substr(0, colon == digest.npos ? kHex : colon + 1 + kHex));
}

// The first, and how many more there are.
std::string FirstOf(std::string_view first, int64_t count) {
  if (count < 2) return std::string(first);
  return fmt::format("{} + {} more...", first, count - 1);
}

std::string TagsOf(const v1alpha1::ImageLayers& image) {
  std::string first;
  int64_t count = 0;
  for (const v1alpha1::TaggedImage& stream : image.streams()) {
    if (count == 0 && !stream.tags().empty())
      first = fmt::format("{}/{}:{}", stream.namespace_(), stream.name(), stream.tags(0));
    count += stream.tags_size();
  }
  return FirstOf(first, count);
}

image::Cells CellsOf(const v1alpha1::ImageStreamLayers& stream) {
  int64_t layers = 0, size = 0, missing = 0;
  for (const auto& [digest, blob] : stream.blobs()) {
    if (!blob.has_size()) continue;  // a config or a manifest
    ++layers;
    size = base::AddSize(size, blob.size());
  }
  for (const auto& [digest, image] : stream.images()) missing += image.image_missing() ? 1 : 0;
  const auto images = static_cast<int64_t>(stream.images().size());
  return {stream.metadata().name(), images - missing, layers, Bytes(size), missing};
}

image::Cells CellsOf(const v1alpha1::ImageLayers& image) {
  const auto& bases = image.base().images();
  return {image.metadata().name(),
          int64_t{image.layers_size()},
          Bytes(image.size()),
          TagsOf(image),
          bases.empty() ? "" : FirstOf(Short(bases[0]), bases.size()),
          image.unreadable().empty() ? image.media_type() : "unreadable: " + image.unreadable()};
}

image::Cells CellsOf(const v1alpha1::Blob& blob) {
  image::Cell size;
  if (blob.has_size()) size = Bytes(blob.size());
  return {blob.metadata().name(), size, blob.media_type(), int64_t{blob.images_size()},
          int64_t{blob.streams_size()}};
}

image::Cells CellsOf(const v1alpha1::LayerUsage& usage) {
  return {usage.metadata().name(),
          usage.image_streams(),
          usage.images(),
          usage.layers(),
          Bytes(usage.size()),
          Bytes(usage.unique_size()),
          Bytes(usage.shared_size()),
          usage.missing_images(),
          usage.unreadable_images() + usage.unreadable_image_streams()};
}

template <typename Object>
image::Cells CellsOfObject(const google::protobuf::Message& object, base::WallTime /*now*/) {
  return CellsOf(static_cast<const Object&>(object));
}

Column Number(std::string name, std::string description, int priority = 0) {
  return {std::move(name), "integer", "", std::move(description), priority};
}

Column Text(std::string name, std::string description, int priority = 0) {
  return {std::move(name), "string", "", std::move(description), priority};
}

const Table kStreamTable = {
    {{"Name", "string", "name", "Name of the image stream."},
     Number("Images",
            "Images that its tags have ever pointed at, children of multi-arch images "
            "among them, as far as they exist."),
     Number("Layers", "Layers of these images, each counted once."),
     Text("Size", "Bytes of these layers."),
     Number("Missing", "Images that don't exist any more, or can't be read.")},
    CellsOfObject<v1alpha1::ImageStreamLayers>};

const Table kImageTable = {
    {{"Name", "string", "name", "Digest of the image's manifest."},
     Number("Layers", "How many layers it has."),
     Text("Size", "Bytes of its layers, each counted once."),
     Text("Tags", "Tags that point at it now."),
     Text("Base",
          "What it is built on: the image whose layers, all of them, are the longest "
          "beginning of its own.",
          1),
     Text("Type", "Media type of its manifest.", 1)},
    CellsOfObject<v1alpha1::ImageLayers>};

const Table kBlobTable = {{{"Name", "string", "name", "Digest of the blob."},
                           Text("Size", "Bytes, as far as they are known."),
                           Text("Type", "Media type."),
                           Number("Images", "Images that refer to it."),
                           Number("Streams", "Image streams that reach such an image.")},
                          CellsOfObject<v1alpha1::Blob>};

const Table kUsageTable = {
    {{"Name", "string", "name", "The namespace."},
     Number("Streams", "Image streams."),
     Number("Images",
            "Images that their tags have ever pointed at, children of multi-arch images "
            "among them."),
     Number("Layers", "Layers of these images, each counted once."),
     Text("Size", "Bytes of these layers."),
     Text("Unique", "Bytes of those that no image stream of another namespace reaches."),
     Text("Shared", "Bytes of those that image streams of other namespaces reach as well."),
     Number("Missing", "Images that tags have pointed at, but that don't exist."),
     Number("Unreadable", "Records of images and image streams that can't be read.")},
    CellsOfObject<v1alpha1::LayerUsage>};

std::vector<Resource> Resources() {
  // None is in the category `all`: nobody makes them.
  return {{.name = "blobs",
           .singular = "blob",
           .kind = "Blob",
           .namespaced = false,
           .type = v1alpha1::Blob::descriptor(),
           .verbs = {"get"},
           .table = &kBlobTable},
          {.name = "imagelayers",
           .singular = "imagelayers",
           .kind = "ImageLayers",
           .namespaced = false,
           .type = v1alpha1::ImageLayers::descriptor(),
           .list_kind = "ImageLayersList",
           .list_type = v1alpha1::ImageLayersList::descriptor(),
           .verbs = {"get", "list", "watch"},
           .short_names = {"il"},
           .table = &kImageTable},
          {.name = "imagestreamlayers",
           .singular = "imagestreamlayers",
           .kind = "ImageStreamLayers",
           .type = v1alpha1::ImageStreamLayers::descriptor(),
           .list_kind = "ImageStreamLayersList",
           .list_type = v1alpha1::ImageStreamLayersList::descriptor(),
           .verbs = {"get", "list", "watch"},
           .short_names = {"isl"},
           .table = &kStreamTable},
          {.name = "layerusages",
           .singular = "layerusage",
           .kind = "LayerUsage",
           .type = v1alpha1::LayerUsage::descriptor(),
           .list_kind = "LayerUsageList",
           .list_type = v1alpha1::LayerUsageList::descriptor(),
           .verbs = {"get", "list"},
           .short_names = {"lu"},
           .table = &kUsageTable}};
}

}  // namespace

const Group& LayersV1Alpha1() {
  static const Group group("layers.strata.dev", "v1alpha1", "layers", Resources());
  return group;
}

const Resource& Blobs() {
  static const Resource& resource = *LayersV1Alpha1().Find("blobs");
  return resource;
}

const Resource& LayersOfImages() {
  static const Resource& resource = *LayersV1Alpha1().Find("imagelayers");
  return resource;
}

const Resource& LayersOfImageStreams() {
  static const Resource& resource = *LayersV1Alpha1().Find("imagestreamlayers");
  return resource;
}

const Resource& LayerUsages() {
  static const Resource& resource = *LayersV1Alpha1().Find("layerusages");
  return resource;
}

}  // namespace strata::registry
