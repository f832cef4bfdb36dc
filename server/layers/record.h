// What the index needs of an Image and of an ImageStream, decoded from their stored protobuf. Pure
// functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "server/layers/tags.h"

namespace strata::layers {

// Views into the record's bytes, except where a string is owned.
struct ImageRecord {
  struct Layer {
    std::string_view name;
    int64_t size = 0;
    std::string_view media_type;
  };
  std::string_view
      media_type;  // of the manifest, never empty: docker schema 2 where the record names none
  std::vector<Layer> layers;  // as stored, base first
  std::vector<std::string_view> manifests;
  bool has_config = false;  // whether an image of this media type has a config blob
  std::string config;       // its digest; empty although has_config if the metadata doesn't tell
};

// An error if the bytes aren't an Image's. A bad dockerImageMetadata isn't one: it only leaves the
// config unknown.
base::StatusOr<ImageRecord> DecodeImage(std::string_view bytes);

struct StreamRecord {
  std::string_view metadata;  // ObjectMeta, known to parse
  std::vector<std::string_view>
      images;             // of status.tags[].items[], in stored order, each once, none empty
  std::vector<Tag> tags;  // if they are asked for
};

base::StatusOr<StreamRecord> DecodeStream(std::string_view bytes, bool with_tags = false);

// Media types that decide what is read and what is answered.
inline constexpr std::string_view kDockerManifest =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";

}  // namespace strata::layers
