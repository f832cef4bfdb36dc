#include "server/layers/answer.h"

#include <absl/container/flat_hash_set.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/bytes.h"
#include "codec/encode_json.h"
#include "codec/encode_protobuf.h"
#include "codec/json_text.h"
#include "proto/k8s/meta_v1.pb.h"
#include "server/wire/encode.h"
#include "server/wire/gzip.h"

namespace strata::layers {
namespace {

using ObjectMeta = k8s::io::apimachinery::pkg::apis::meta::v1::ObjectMeta;
using PartialObjectMetadata = k8s::io::apimachinery::pkg::apis::meta::v1::PartialObjectMetadata;

constexpr codec::TypeMeta kType = {"ImageStreamLayers", "image.openshift.io/v1"};
constexpr size_t kWarnings = 5;  // shown; more are counted

struct Blob {
  NameId name;
  NameId media_type;
  std::optional<int64_t> size;
};

// The two maps of the answer, sorted as Go prints them.
struct Maps {
  std::vector<Blob> blobs;
  std::vector<const Gathered::Node*> images;
};

// First writer wins a blob, in the order layers, config, the image itself, and then its children (etcd.go addImageStreamLayers).
Maps MakeMaps(const NameTable& names, const WellKnown& known, const Gathered& gathered) {
  Maps maps;
  absl::flat_hash_set<NameId> seen;
  const auto add = [&](NameId name, NameId media_type, std::optional<int64_t> size) {
    if (seen.insert(name).second) maps.blobs.push_back({name, media_type, size});
  };
  maps.images.reserve(gathered.nodes.size());
  for (const Gathered::Node& node : gathered.nodes) {
    maps.images.push_back(&node);
    if (node.image == nullptr || !node.image->usable()) continue;
    const ImageEntry& image = *node.image;
    for (const ImageEntry::Layer& layer : image.layers()) add(layer.name, layer.media_type, layer.size);
    if (image.config() != kNoName) {
      add(image.config(), image.media_type() == known.oci_manifest ? known.oci_config : known.docker_config, {});
    }
    add(node.name, image.media_type(), {});
  }
  std::sort(maps.blobs.begin(), maps.blobs.end(),
            [&](const Blob& a, const Blob& b) { return names.Compare(a.name, b.name) < 0; });
  std::sort(maps.images.begin(), maps.images.end(),
            [&](const auto* a, const auto* b) { return names.Compare(a->name, b->name) < 0; });
  return maps;
}

class JsonEncoder {
 public:
  JsonEncoder(const NameTable& names, std::string& out) : names_(names), out_(out) {}

  void Encode(const ObjectMeta& metadata, const Maps& maps) {
    out_ += R"({"kind":"ImageStreamLayers","apiVersion":"image.openshift.io/v1","metadata":)";
    codec::AppendJson(metadata, {}, out_);
    out_ += R"(,"blobs":{)";
    for (const Blob& blob : maps.blobs) {
      Separate('{');
      Name(blob.name);
      out_ += R"(:{"size":)";
      if (blob.size) {
        fmt::format_to(std::back_inserter(out_), "{}", *blob.size);
      } else {
        out_ += "null";
      }
      out_ += R"(,"mediaType":)";
      Name(blob.media_type);
      out_ += '}';
    }
    out_ += R"(},"images":{)";
    for (const Gathered::Node* node : maps.images) {
      Separate('{');
      Name(node->name);
      out_ += ':';
      Image(node->image.get());
    }
    out_ += "}}";
  }

 private:
  void Image(const ImageEntry* image) {
    if (image == nullptr || !image->usable()) {
      out_ += R"({"imageMissing":true,"layers":null,"config":null})";
      return;
    }
    out_ += R"({"imageMissing":false,"layers":)";
    if (image->layers().empty()) {
      out_ += "null";
    } else {
      out_ += '[';
      for (const ImageEntry::Layer& layer : image->layers()) {
        Separate('[');
        Name(layer.name);
      }
      out_ += ']';
    }
    out_ += R"(,"config":)";
    if (image->config() == kNoName) {
      out_ += "null";
    } else {
      Name(image->config());
    }
    if (!image->manifests().empty()) {
      out_ += R"(,"manifests":[)";
      for (const NameId manifest : image->manifests()) {
        Separate('[');
        Name(manifest);
      }
      out_ += ']';
    }
    out_ += '}';
  }

  void Separate(char open) {
    if (out_.back() != open) out_ += ',';
  }

  void Name(NameId id) {
    if (!names_.IsDigest(id)) return codec::AppendJsonString(names_.Text(id), out_);
    out_ += '"';
    names_.AppendTo(id, out_);
    out_ += '"';
  }

  const NameTable& names_;
  std::string& out_;
};

class ProtobufEncoder {
 public:
  ProtobufEncoder(const NameTable& names, std::string& out) : names_(names), out_(out) {}

  void Encode(const ObjectMeta& metadata, const Maps& maps) {
    const std::string meta = codec::EncodeProtobuf(metadata);
    Tag(1, meta.size());
    out_ += meta;
    for (const Blob& blob : maps.blobs) {
      const size_t value = (blob.size ? 1 + VarintSize(static_cast<uint64_t>(*blob.size)) : 0) + FieldSize(blob.media_type);
      MapEntry(2, blob.name, value);
      if (blob.size) {
        out_ += '\x08';
        Varint(static_cast<uint64_t>(*blob.size));
      }
      Name(2, blob.media_type);
    }
    for (const Gathered::Node* node : maps.images) {
      const ImageEntry* image = node->image.get();
      const bool usable = image != nullptr && image->usable();
      size_t value = 2;
      if (usable) {
        for (const ImageEntry::Layer& layer : image->layers()) value += FieldSize(layer.name);
        if (image->config() != kNoName) value += FieldSize(image->config());
        for (const NameId manifest : image->manifests()) value += FieldSize(manifest);
      }
      MapEntry(3, node->name, value);
      if (usable) {
        for (const ImageEntry::Layer& layer : image->layers()) Name(1, layer.name);
        if (image->config() != kNoName) Name(2, image->config());
      }
      out_ += '\x18';
      out_ += usable ? '\0' : '\1';
      if (!usable) continue;
      for (const NameId manifest : image->manifests()) Name(4, manifest);
    }
  }

 private:
  static size_t VarintSize(uint64_t value) {
    size_t size = 1;
    while (value >= 0x80) {
      value >>= 7;
      ++size;
    }
    return size;
  }

  // Of a string field: tag, length, text.
  size_t FieldSize(NameId id) const {
    const size_t size = names_.TextSize(id);
    return 1 + VarintSize(size) + size;
  }

  void Varint(uint64_t value) {
    while (value >= 0x80) {
      out_ += static_cast<char>(value | 0x80);
      value >>= 7;
    }
    out_ += static_cast<char>(value);
  }

  void Tag(int number, size_t length) {
    out_ += static_cast<char>(number << 3 | 2);
    Varint(length);
  }

  void Name(int number, NameId id) {
    Tag(number, names_.TextSize(id));
    names_.AppendTo(id, out_);
  }

  void MapEntry(int number, NameId key, size_t value) {
    Tag(number, FieldSize(key) + 1 + VarintSize(value) + value);
    Name(1, key);
    Tag(2, value);
  }

  const NameTable& names_;
  std::string& out_;
};

// Bytes that the two maps take, roughly and not less, so that a large body is allocated once.
size_t Estimate(const Maps& maps) {
  size_t size = 4096 + maps.blobs.size() * 180 + maps.images.size() * 260;
  for (const Gathered::Node* node : maps.images) {
    if (node->image != nullptr) size += (node->image->layers().size() + node->image->manifests().size()) * 76;
  }
  return size;
}

std::vector<std::string> WarningsOf(const NameTable& names, const Gathered& gathered) {
  std::vector<std::string> warnings;
  size_t more = 0;
  const auto warn = [&](NameId image, std::string_view what) {
    if (warnings.size() < kWarnings) {
      warnings.push_back(fmt::format("image {}: {}", base::Printable(names.Text(image), 80), base::Printable(what, 100)));
    } else {
      ++more;
    }
  };
  for (const Gathered::Node& node : gathered.nodes) {
    if (node.image == nullptr) continue;
    const ImageEntry& image = *node.image;
    if (!image.usable()) warn(node.name, fmt::format("record unreadable: {}", image.unreadable()));
    if (image.config_unknown()) warn(node.name, "its metadata has no config digest, so config is null");
    if (image.dropped_layers()) warn(node.name, "layers without a name were left out");
    if (image.dropped_beside_manifests()) warn(node.name, "it has manifests, so its layers and config were left out");
  }
  if (more > 0) warnings.push_back(fmt::format("{} more images have such problems", more));
  return warnings;
}

std::string PartialBody(const ObjectMeta& metadata, const wire::Representation& representation) {
  PartialObjectMetadata partial;
  *partial.mutable_metadata() = metadata;
  return wire::Encode(partial,
                      {"PartialObjectMetadata", representation.v1beta1 ? "meta.k8s.io/v1beta1" : "meta.k8s.io/v1"},
                      representation);
}

std::string Body(const NameTable& names, const WellKnown& known, const Gathered& gathered, const ObjectMeta& metadata,
                 const wire::Representation& representation) {
  if (representation.transform == wire::Transform::kPartialObjectMetadata) return PartialBody(metadata, representation);
  const Maps maps = MakeMaps(names, known, gathered);
  std::string body;
  body.reserve(Estimate(maps));
  if (representation.type == wire::MediaType::kProtobuf) {
    ProtobufEncoder(names, body).Encode(metadata, maps);
    std::string enveloped;
    wire::AppendEnvelope(kType, body, enveloped);
    return enveloped;
  }
  JsonEncoder(names, body).Encode(metadata, maps);
  if (representation.type == wire::MediaType::kYaml || representation.pretty) {
    return wire::EncodeText(body, representation);
  }
  body += '\n';
  body.shrink_to_fit();
  return body;
}

}  // namespace

base::StatusOr<Encoded> Build(const NameTable& names, const WellKnown& known, const Gathered& gathered,
                              const Form& form) {
  ObjectMeta metadata;
  if (!metadata.ParseFromString(gathered.stream->metadata())) return base::DataLossError("metadata doesn't parse");
  metadata.set_resource_version(std::to_string(gathered.stream->revision()));
  Encoded encoded;
  encoded.body = Body(names, known, gathered, metadata, form.representation);
  encoded.warnings = WarningsOf(names, gathered);
  if (form.gzip && encoded.body.size() > wire::kGzipThreshold) {
    encoded.body = wire::Gzip(encoded.body);
    encoded.gzipped = true;
  }
  return encoded;
}

}  // namespace strata::layers
