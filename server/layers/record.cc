// Reads protobuf by hand: only the fields that an answer needs, in one pass, without copies. A
// hundred thousand images are decoded at each start, and 8 KB of metadata in each are of no
// interest but for one string.
#include "server/layers/record.h"

#include <absl/container/flat_hash_set.h>
#include <fmt/format.h>

#include <optional>

#include "base/string_map.h"
#include "codec/decode_json.h"
#include "proto/k8s/meta_v1.pb.h"

namespace strata::layers {
namespace {

constexpr int kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;

// The fields of one message, one after the other. After an error, done() is true and ok() is false.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : rest_(bytes) {}

  // Moves to the next field; false at the end or at an error.
  bool Next() {
    if (rest_.empty() || !ok_) return false;
    uint64_t tag = 0;
    if (!Varint(tag) || tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF) return Fail();
    number_ = static_cast<int>(tag >> 3);
    type_ = static_cast<int>(tag & 7);
    switch (type_) {
      case kVarint:
        return Varint(varint_) || Fail();
      case kFixed64:
        return Take(8) || Fail();
      case kFixed32:
        return Take(4) || Fail();
      case kBytes: {
        uint64_t length = 0;
        return (Varint(length) && length <= rest_.size() && Take(length)) || Fail();
      }
      default:
        return Fail();  // groups, which Kubernetes never writes
    }
  }

  int number() const { return number_; }
  bool ok() const { return ok_; }

  // The value, if the field has the wire type that its number promises; otherwise the message is
  // malformed.
  std::string_view bytes() { return type_ == kBytes ? bytes_ : (Fail(), std::string_view()); }
  int64_t varint() { return type_ == kVarint ? static_cast<int64_t>(varint_) : (Fail(), 0); }

 private:
  bool Fail() {
    ok_ = false;
    return false;
  }

  bool Take(size_t length) {
    if (rest_.size() < length) return false;
    bytes_ = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return true;
  }

  bool Varint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (rest_.empty()) return false;
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  std::string_view rest_;
  std::string_view bytes_;
  uint64_t varint_ = 0;
  int number_ = 0;
  int type_ = 0;
  bool ok_ = true;
};

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

// The image's Id in its metadata object: `Id` in version 1.0; `ID` and `id`, which older writers
// left, only without it.
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

base::StatusOr<StreamRecord> DecodeStream(std::string_view bytes) {
  StreamRecord stream;
  absl::flat_hash_set<std::string_view, base::StringHash, base::StringEqual> seen;
  const auto read_items = [&](std::string_view tag) {
    FieldReader items(tag);
    while (items.Next()) {
      if (items.number() != 2) continue;
      FieldReader event(items.bytes());
      std::string_view image;
      while (event.Next()) {
        if (event.number() == 3) image = event.bytes();
      }
      if (!event.ok()) return false;
      if (!image.empty() && seen.insert(image).second) stream.images.push_back(image);
    }
    return items.ok();
  };

  FieldReader reader(bytes);
  while (reader.Next()) {
    if (reader.number() == 1) stream.metadata = reader.bytes();
    if (reader.number() != 3) continue;
    FieldReader status(reader.bytes());
    while (status.Next()) {
      if (status.number() == 2 && !read_items(status.bytes())) return Malformed("status.tags");
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
