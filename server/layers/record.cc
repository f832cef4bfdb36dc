// Reads protobuf by hand: only the fields that an answer needs, in one pass, without copies. A
// hundred thousand images are decoded at each start, and 8 KB of metadata in each are of no
// interest but for one string.
#include "server/layers/record.h"

#include <absl/container/flat_hash_map.h>
#include <fmt/format.h>

#include <utility>

#include "lib/base/string_map.h"
#include "lib/codec/decode_json.h"
#include "lib/codec/field_reader.h"
#include "proto/k8s/meta_v1.pb.h"

namespace strata::layers {
namespace {

using codec::FieldReader;

base::Status Malformed(std::string_view what) {
  return base::DataLossError(fmt::format("malformed protobuf in {}", what));
}

base::StatusOr<ImageRecord::Layer> DecodeLayer(std::string_view bytes) {
  ImageRecord::Layer layer;
  FieldReader reader(bytes);
  while (reader.Next()) {
    if (reader.number() == 1) layer.name = reader.bytes();
    if (reader.number() == 2) layer.size = reader.varint();
    if (reader.number() == 3) layer.media_type = reader.bytes();
  }
  if (!reader.ok()) return Malformed("dockerImageLayers");
  return layer;
}

// The first member of a message that has only that one for us: RawExtension.raw,
// ImageManifest.digest.
base::StatusOr<std::string_view> DecodeFirst(std::string_view bytes, std::string_view what) {
  std::string_view first;
  FieldReader reader(bytes);
  while (reader.Next()) {
    if (reader.number() == 1) first = reader.bytes();
  }
  if (!reader.ok()) return Malformed(what);
  return first;
}

// The image's Id in its metadata object: `Id` in version 1.0, `id` in pre012; `ID` and `id` in the
// former, which older writers left, and `Id` in the latter are read as well.
std::string ConfigFromMetadata(std::string_view metadata) {
  std::string exact, other;
  const base::Status status =
      codec::ForEachString(metadata, [&](std::string_view key, std::string_view value) {
        if (key == "Id") exact = value;
        if (key == "ID" || (key == "id" && other.empty())) other = value;
      });
  if (!status.ok()) return "";
  return exact.empty() ? other : exact;
}

}  // namespace

base::StatusOr<ImageRecord> DecodeImage(std::string_view bytes) {
  ImageRecord image;
  std::string_view metadata;
  FieldReader reader(bytes);
  while (reader.Next()) {
    switch (reader.number()) {
      case 1:
        reader.bytes();
        break;
      case 3: {
        STRATA_ASSIGN_OR_RETURN(metadata, DecodeFirst(reader.bytes(), "dockerImageMetadata"));
        break;
      }
      case 6: {
        STRATA_ASSIGN_OR_RETURN(const ImageRecord::Layer layer, DecodeLayer(reader.bytes()));
        image.layers.push_back(layer);
        break;
      }
      case 9:
        image.media_type = reader.bytes();
        break;
      case 11: {
        STRATA_ASSIGN_OR_RETURN(const std::string_view digest,
                                DecodeFirst(reader.bytes(), "dockerImageManifests"));
        image.manifests.push_back(digest);
        break;
      }
      default:
        break;
    }
  }
  if (!reader.ok()) return Malformed("Image");
  image.has_config = image.media_type == kDockerManifest || image.media_type == kOciManifest;
  if (image.has_config && image.manifests.empty()) image.config = ConfigFromMetadata(metadata);
  if (image.media_type.empty()) image.media_type = kDockerManifest;
  return image;
}

base::StatusOr<StreamRecord> DecodeStream(std::string_view bytes, bool with_tags) {
  StreamRecord stream;
  // Each image's place in stream.images, from 1.
  absl::flat_hash_map<std::string_view, uint32_t, base::StringHash, base::StringEqual> seen;
  const auto place_of = [&](std::string_view image) -> uint32_t {
    if (image.empty()) return 0;
    const auto [place, is_new] =
        seen.try_emplace(image, static_cast<uint32_t>(stream.images.size() + 1));
    if (is_new) stream.images.push_back(image);
    return place->second;
  };
  const auto read_tag = [&](std::string_view bytes_of_tag) {
    Tag tag;
    FieldReader reader(bytes_of_tag);
    while (reader.Next()) {
      if (reader.number() == 1) tag.name = reader.bytes();
      if (reader.number() != 2) continue;
      FieldReader event(reader.bytes());
      std::string_view image;
      while (event.Next()) {
        if (event.number() == 3) image = event.bytes();
      }
      if (!event.ok()) return false;
      const uint32_t place = place_of(image);
      if (with_tags) tag.images.push_back(place);
    }
    if (with_tags) stream.tags.push_back(std::move(tag));
    return reader.ok();
  };

  FieldReader reader(bytes);
  while (reader.Next()) {
    if (reader.number() == 1) stream.metadata = reader.bytes();
    if (reader.number() != 3) continue;
    FieldReader status(reader.bytes());
    while (status.Next()) {
      if (status.number() == 2 && !read_tag(status.bytes())) return Malformed("status.tags");
    }
    if (!status.ok()) return Malformed("status");
  }
  if (!reader.ok()) return Malformed("ImageStream");
  k8s::io::apimachinery::pkg::apis::meta::v1::ObjectMeta metadata;
  if (!metadata.ParseFromArray(stream.metadata.data(), static_cast<int>(stream.metadata.size()))) {
    return Malformed("metadata");
  }
  return stream;
}

}  // namespace strata::layers
