#include "server/layers/answer.h"

#include <absl/container/flat_hash_map.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <span>

#include "lib/base/bytes.h"
#include "lib/codec/encode_json.h"
#include "lib/codec/encode_protobuf.h"
#include "lib/codec/json_text.h"
#include "proto/k8s/meta_v1.pb.h"
#include "server/layers/maps.h"
#include "server/registry/image_v1.h"
#include "server/wire/encode.h"
#include "server/wire/gzip.h"

namespace strata::layers {
namespace {

using k8s::io::apimachinery::pkg::apis::meta::v1::ObjectMeta;
using k8s::io::apimachinery::pkg::apis::meta::v1::PartialObjectMetadata;

constexpr size_t kWarnings = 5;  // shown; more are counted

// An encoder runs twice: to measure into a Counter, and then into a Writer on a string of that
// size, unless the work is over before. So a body of megabytes is allocated once, and isn't larger
// than it has to be while it is cached.
struct Counter {
  void Byte(char) { ++size; }
  void Text(std::string_view text) { size += text.size(); }
  void Digest(NameId) { size += NameTable::kDigestText; }

  size_t size = 0;
};

struct Writer {
  void Byte(char c) { *at++ = c; }
  void Text(std::string_view text) {
    std::memcpy(at, text.data(), text.size());
    at += text.size();
  }
  void Digest(NameId id) { at = names.WriteDigest(id, at); }

  const NameTable& names;
  char* at;
};

// `encode` is called with either.
template <typename Encode>
size_t Measure(const Encode& encode) {
  Counter counter;
  encode(counter);
  return counter.size;
}

// Appends `size` bytes.
template <typename Encode>
void Write(const NameTable& names, size_t size, const Encode& encode, const std::stop_token& stop,
           std::string& out) {
  const size_t start = out.size();
  out.resize(start + size);
  Writer writer{names, out.data() + start};
  encode(writer);
  if (stop.stop_requested()) return;
  if (writer.at != out.data() + out.size()) std::abort();  // the two runs differ
}

// Names that aren't digests as JSON strings: media types, of which an answer repeats a few.
class JsonTexts {
 public:
  explicit JsonTexts(const NameTable& names) : names_(names) {}

  std::string_view operator()(NameId id) {
    std::string& text = texts_[id];
    if (text.empty()) codec::AppendJsonString(names_.OtherText(id), text);
    return text;
  }

 private:
  const NameTable& names_;
  absl::flat_hash_map<NameId, std::string> texts_;
};

// What every answer begins with.
std::string_view Head() {
  static const std::string head = [] {
    const codec::TypeMeta type = registry::ImageStreamLayers().type_meta();
    return fmt::format(R"({{"kind":"{}","apiVersion":"{}","metadata":)", type.kind,
                       type.api_version);
  }();
  return head;
}

template <typename Sink>
class JsonEncoder {
 public:
  JsonEncoder(JsonTexts& texts, Sink& out) : texts_(texts), out_(out) {}

  // Cut short once `pulse` is over.
  void Encode(std::string_view metadata, const Maps& maps, Pulse& pulse) {
    out_.Text(Head());
    out_.Text(metadata);
    out_.Text(R"(,"blobs":{)");
    for (const Maps::Blob& blob : maps.blobs) {
      if (pulse.IsOver()) return;
      if (&blob != &maps.blobs.front()) out_.Byte(',');
      Name(blob.name);
      out_.Text(R"(:{"size":)");
      if (blob.has_size) {
        const fmt::format_int size(blob.size);
        out_.Text({size.data(), size.size()});
      } else {
        out_.Text("null");
      }
      out_.Text(R"(,"mediaType":)");
      Name(blob.media_type);
      out_.Byte('}');
    }
    out_.Text(R"(},"images":{)");
    for (const Maps::Image& image : maps.images) {
      if (pulse.IsOver()) return;
      if (&image != &maps.images.front()) out_.Byte(',');
      Name(image.name);
      out_.Byte(':');
      References(image.entry);
    }
    out_.Text("}}");
  }

 private:
  void References(const ImageEntry* image) {
    if (image == nullptr) {
      out_.Text(R"({"imageMissing":true,"layers":null,"config":null})");
      return;
    }
    out_.Text(R"({"imageMissing":false,"layers":)");
    if (image->layer_names().empty()) {
      out_.Text("null");
    } else {
      Names(image->layer_names());
    }
    out_.Text(R"(,"config":)");
    if (image->config() == kNoName) {
      out_.Text("null");
    } else {
      Name(image->config());
    }
    if (!image->manifests().empty()) {
      out_.Text(R"(,"manifests":)");
      Names(image->manifests());
    }
    out_.Byte('}');
  }

  void Names(std::span<const NameId> ids) {
    char before = '[';
    for (const NameId id : ids) {
      out_.Byte(before);
      Name(id);
      before = ',';
    }
    out_.Byte(']');
  }

  void Name(NameId id) {
    if (!NameTable::IsDigest(id)) return out_.Text(texts_(id));
    out_.Byte('"');
    out_.Digest(id);
    out_.Byte('"');
  }

  JsonTexts& texts_;
  Sink& out_;
};

template <typename Sink>
class ProtobufEncoder {
 public:
  ProtobufEncoder(const NameTable& names, Sink& out) : names_(names), out_(out) {}

  // Cut short once `pulse` is over.
  void Encode(std::string_view metadata, const Maps& maps, Pulse& pulse) {
    Tag(1, metadata.size());
    out_.Text(metadata);
    for (const Maps::Blob& blob : maps.blobs) {
      if (pulse.IsOver()) return;
      const auto size = static_cast<uint64_t>(blob.size);
      MapEntry(2, blob.name,
               (blob.has_size ? 1 + VarintSize(size) : 0) + FieldSize(blob.media_type));
      if (blob.has_size) {
        out_.Byte('\x08');
        Varint(size);
      }
      Name(2, blob.media_type);
    }
    for (const Maps::Image& image : maps.images) {
      if (pulse.IsOver()) return;
      MapEntry(3, image.name, ReferencesSize(image.entry));
      References(image.entry);
    }
  }

 private:
  size_t ReferencesSize(const ImageEntry* image) const {
    size_t size = 2;
    if (image == nullptr) return size;
    for (const NameId layer : image->layer_names()) size += FieldSize(layer);
    if (image->config() != kNoName) size += FieldSize(image->config());
    for (const NameId manifest : image->manifests()) size += FieldSize(manifest);
    return size;
  }

  void References(const ImageEntry* image) {
    if (image != nullptr) {
      for (const NameId layer : image->layer_names()) Name(1, layer);
      if (image->config() != kNoName) Name(2, image->config());
    }
    out_.Byte('\x18');
    out_.Byte(image == nullptr ? '\1' : '\0');
    if (image == nullptr) return;
    for (const NameId manifest : image->manifests()) Name(4, manifest);
  }

  static size_t VarintSize(uint64_t value) {
    return static_cast<size_t>(std::bit_width(value | 1) + 6) / 7;
  }

  // Of a string field: tag, length, text.
  size_t FieldSize(NameId id) const {
    const size_t size = names_.TextSize(id);
    return 1 + VarintSize(size) + size;
  }

  void Varint(uint64_t value) {
    while (value >= 0x80) {
      out_.Byte(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    out_.Byte(static_cast<char>(value));
  }

  void Tag(int number, size_t length) {
    out_.Byte(static_cast<char>(number << 3 | 2));
    Varint(length);
  }

  void Name(int number, NameId id) {
    Tag(number, names_.TextSize(id));
    if (NameTable::IsDigest(id)) {
      out_.Digest(id);
    } else {
      out_.Text(names_.OtherText(id));
    }
  }

  void MapEntry(int number, NameId key, size_t value) {
    Tag(number, FieldSize(key) + 1 + VarintSize(value) + value);
    Name(1, key);
    Tag(2, value);
  }

  const NameTable& names_;
  Sink& out_;
};

// Without the line feed; `spare` bytes are kept free for what the caller appends. Like
// EncodeProtobuf meaningless once it is stopped.
std::string EncodeJson(const NameTable& names, const ObjectMeta& metadata, const Maps& maps,
                       const std::stop_token& stop, size_t spare) {
  JsonTexts texts(names);
  const std::string meta = codec::EncodeJson(metadata);
  const auto encode = [&]<typename Sink>(Sink& out) {
    Pulse pulse(stop);
    JsonEncoder<Sink>(texts, out).Encode(meta, maps, pulse);
  };
  const size_t size = Measure(encode);
  std::string body;
  if (stop.stop_requested()) return body;
  body.reserve(size + spare);
  Write(names, size, encode, stop, body);
  return body;
}

std::string EncodeProtobuf(const NameTable& names, const ObjectMeta& metadata, const Maps& maps,
                           const std::stop_token& stop) {
  const std::string meta = codec::EncodeProtobuf(metadata);
  const auto encode = [&]<typename Sink>(Sink& out) {
    Pulse pulse(stop);
    ProtobufEncoder<Sink>(names, out).Encode(meta, maps, pulse);
  };
  const size_t size = Measure(encode);
  std::string body;
  if (stop.stop_requested()) return body;
  std::string head;
  wire::AppendEnvelopeHead(registry::ImageStreamLayers().type_meta(), size, head);
  body.reserve(head.size() + size + wire::kEnvelopeTail.size());
  body += head;
  Write(names, size, encode, stop, body);
  body += wire::kEnvelopeTail;
  return body;
}

std::vector<std::string> WarningsOf(const NameTable& names, const Gathered& gathered) {
  std::vector<std::string> warnings;
  size_t more = 0;
  const auto warn = [&](NameId image, std::string_view what) {
    if (warnings.size() == kWarnings) {
      ++more;
      return;
    }
    warnings.push_back(fmt::format("image {}: {}", base::Printable(names.Text(image), 80),
                                   base::Printable(what, 100)));
  };
  for (const Gathered::Node& node : gathered.nodes) {
    if (node.image == nullptr) continue;
    const ImageEntry& image = *node.image;
    if (!image.usable()) warn(node.name, "record unreadable: " + names.Text(image.unreadable()));
    if (image.config_unknown()) {
      warn(node.name, "its metadata has no config digest, so config is null");
    }
    if (image.dropped_unnamed()) {
      warn(node.name, "layers or manifests without a name were left out");
    }
    if (image.dropped_beside_manifests()) {
      warn(node.name, "it has manifests, so its layers and config were left out");
    }
  }
  if (more > 0) warnings.push_back(fmt::format("{} more images have such problems", more));
  return warnings;
}

std::string PartialBody(const ObjectMeta& metadata, const wire::Representation& representation) {
  PartialObjectMetadata partial;
  *partial.mutable_metadata() = metadata;
  const std::string_view version = representation.beta ? "meta.k8s.io/v1beta1" : "meta.k8s.io/v1";
  return wire::Encode(partial, {"PartialObjectMetadata", version}, representation);
}

std::string Body(const NameTable& names, const WellKnown& known, const Gathered& gathered,
                 const ObjectMeta& metadata, const wire::Representation& representation,
                 const std::stop_token& stop) {
  if (representation.transform == wire::Transform::kPartialObjectMetadata) {
    return PartialBody(metadata, representation);
  }
  const Maps maps = MakeMaps(names, known, gathered, stop);
  if (representation.type == wire::MediaType::kProtobuf) {
    return EncodeProtobuf(names, metadata, maps, stop);
  }
  std::string body = EncodeJson(names, metadata, maps, stop, 1);
  if (stop.stop_requested()) return body;
  if (representation.type == wire::MediaType::kYaml || representation.pretty) {
    return wire::EncodeText(body, representation, stop);
  }
  body += '\n';
  return body;
}

}  // namespace

std::vector<std::string> MissingIn(const NameTable& names, const Gathered& gathered) {
  std::vector<std::string> missing;
  for (const Gathered::Node& node : gathered.nodes)
    if (node.image == nullptr) missing.push_back(names.Text(node.name));
  return missing;
}

base::StatusOr<Encoded> Build(const NameTable& names, const WellKnown& known,
                              const Gathered& gathered, const Form& form,
                              const std::stop_token& stop) {
  ObjectMeta metadata;
  const std::string_view stored = gathered.stream->metadata();
  if (!metadata.ParseFromArray(stored.data(), static_cast<int>(stored.size()))) {
    return base::DataLossError("metadata doesn't parse");
  }
  if (metadata.resource_version().empty())
    metadata.set_resource_version(std::to_string(gathered.stream->revision()));
  Encoded encoded;
  encoded.revision = gathered.stream->revision();
  encoded.body = Body(names, known, gathered, metadata, form.representation, stop);
  if (stop.stop_requested()) return base::CancelledError("nobody waits any more");
  encoded.warnings = WarningsOf(names, gathered);
  if (form.gzip && encoded.body.size() > wire::kGzipThreshold) {
    encoded.body = wire::Gzip(encoded.body);
    encoded.gzipped = true;
  }
  return encoded;
}

}  // namespace strata::layers
