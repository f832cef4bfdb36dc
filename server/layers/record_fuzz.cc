// Any bytes as an Image and as an ImageStream: decoding must return, what it accepts must build,
// and of what the generic codec reads it says the same.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "lib/codec/encode_protobuf.h"
#include "proto/image/image_v1.pb.h"
#include "server/layers/index.h"
#include "server/layers/record.h"

namespace {

using namespace strata;
using namespace strata::layers;
namespace image_v1 = ::github::com::openshift::api::image::v1;

void CheckImage(std::string_view bytes) {
  image_v1::Image image;
  if (!image.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  // A message that stands twice is merged by the codec alone.
  const std::string stored = codec::EncodeProtobuf(image);
  const auto record = DecodeImage(stored);
  if (!record.ok()) std::abort();
  const std::string& media_type = image.docker_image_manifest_media_type();
  if (record->media_type != (media_type.empty() ? kDockerManifest : media_type)) std::abort();
  if (!std::equal(record->layers.begin(), record->layers.end(), image.docker_image_layers().begin(),
                  image.docker_image_layers().end(), [](const auto& a, const auto& b) {
                    return a.name == b.name() && a.size == b.size() &&
                           a.media_type == b.media_type();
                  }))
    std::abort();
  if (!std::equal(record->manifests.begin(), record->manifests.end(),
                  image.docker_image_manifests().begin(), image.docker_image_manifests().end(),
                  [](std::string_view a, const auto& b) { return a == b.digest(); }))
    std::abort();
}

void CheckStream(std::string_view bytes) {
  image_v1::ImageStream stream;
  if (!stream.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const std::string stored = codec::EncodeProtobuf(stream);
  const auto record = DecodeStream(stored, /*with_tags=*/true);
  if (!record.ok()) std::abort();
  std::vector<std::string_view> images;
  const auto& tags = stream.status().tags();
  if (record->tags.size() != static_cast<size_t>(tags.size())) std::abort();
  for (int i = 0; i < tags.size(); ++i) {
    const Tag& tag = record->tags[static_cast<size_t>(i)];
    if (tag.name != tags[i].tag() || tag.images.size() != static_cast<size_t>(tags[i].items_size()))
      std::abort();
    for (int j = 0; j < tags[i].items_size(); ++j) {
      const std::string_view image = tags[i].items(j).image();
      const uint32_t place = tag.images[static_cast<size_t>(j)];
      if (image.empty() != (place == 0)) std::abort();
      if (place > 0 && record->images.at(place - 1) != image) std::abort();
      if (!image.empty() && std::find(images.begin(), images.end(), image) == images.end())
        images.push_back(image);
    }
  }
  if (record->images != images) std::abort();
}

void CheckIndex(std::string_view bytes) {
  Index index({.cache_bytes = 1 << 20, .max_entries_per_answer = 1000}, {});
  const Change changes[] = {
      {Change::Kind::kImage, Change::State::kPresent, "", "i", 1, bytes, {}},
      {Change::Kind::kImageStream, Change::State::kPresent, "ns", "s", 1, bytes, {}},
      {Change::Kind::kImageStream,
       Change::State::kPresent,
       "ns",
       "t",
       1,
       std::string_view("\x0a\x00\x1a\x07\x12\x05\x12\x03\x1a\x01i", 11),
       {}},
  };
  index.Apply(changes);
  for (const char* name : {"s", "t"}) {
    const Lookup lookup = index.Find("ns", name, {});
    if (lookup.result == Lookup::Result::kSmall && !index.Build(lookup.gathered, {}).ok())
      std::abort();
    if (lookup.result != Lookup::Result::kLarge) continue;
    Assembly assembly("ns", name, {});
    const auto made = index.Make(assembly, {});
    if (!made.ok() && made.status().code() != base::StatusCode::kDataLoss) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  CheckImage(bytes);
  CheckStream(bytes);
  CheckIndex(bytes);
  return 0;
}
