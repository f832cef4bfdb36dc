#include "test/support/record_text.h"

#include <fmt/format.h>

#include <ctime>

namespace strata::testing_support {
namespace {

// Appends protobuf fields to a string.
class Message {
 public:
  Message& Varint(int field, uint64_t value) {
    Raw(static_cast<uint64_t>(field) << 3);
    Raw(value);
    return *this;
  }
  Message& Bytes(int field, std::string_view value) {
    Raw(static_cast<uint64_t>(field) << 3 | 2);
    Raw(value.size());
    out_.append(value);
    return *this;
  }
  Message& BytesUnlessEmpty(int field, std::string_view value) {
    return value.empty() ? *this : Bytes(field, value);
  }
  Message& Map(int field, const std::map<std::string, std::string>& map) {
    for (const auto& [key, value] : map) Bytes(field, Message().Bytes(1, key).Bytes(2, value).out_);
    return *this;
  }
  // metav1.Time: empty when zero, else both fields.
  Message& Time(int field, int64_t seconds) {
    return Bytes(
        field,
        seconds == 0 ? "" : Message().Varint(1, static_cast<uint64_t>(seconds)).Varint(2, 0).out_);
  }
  const std::string& bytes() const { return out_; }

 private:
  void Raw(uint64_t value) {
    for (; value >= 128; value >>= 7) out_.push_back(static_cast<char>(value | 128));
    out_.push_back(static_cast<char>(value));
  }
  std::string out_;
};

uint64_t Number(int64_t value) {
  return static_cast<uint64_t>(value);
}

std::string ToProtobuf(const Metadata& m) {
  Message out;
  out.Bytes(1, m.name).Bytes(2, "").Bytes(3, m.ns).Bytes(4, "").Bytes(5, m.uid).Bytes(6, "");
  out.Varint(7, Number(m.generation)).Time(8, m.created).Map(11, m.labels).Map(12, m.annotations);
  for (const Metadata::ManagedFields& fields : m.managed_fields) {
    out.Bytes(17, Message()
                      .Bytes(1, fields.manager)
                      .Bytes(2, fields.operation)
                      .Bytes(3, "image.openshift.io/v1")
                      .Time(4, fields.time)
                      .Bytes(6, "FieldsV1")
                      .Bytes(7, Message().Bytes(1, fields.fields).bytes())
                      .Bytes(8, fields.subresource)
                      .bytes());
  }
  return out.bytes();
}

// The comma between members, from the second on.
class Members {
 public:
  explicit Members(std::string& out) : out_(out) { out_ += '{'; }
  ~Members() { out_ += '}'; }
  Members(const Members&) = delete;
  Members& operator=(const Members&) = delete;

  std::string& Key(std::string_view key) {
    if (!first_) out_ += ',';
    first_ = false;
    out_ += '"';
    out_ += key;
    out_ += "\":";
    return out_;
  }
  void String(std::string_view key, std::string_view value) { Key(key) += JsonString(value); }
  void StringUnlessEmpty(std::string_view key, std::string_view value) {
    if (!value.empty()) String(key, value);
  }
  void Int(std::string_view key, int64_t value) { Key(key) += std::to_string(value); }
  void Map(std::string_view key, const std::map<std::string, std::string>& map) {
    if (map.empty()) return;
    Members members(Key(key));
    for (const auto& [name, value] : map) members.String(name, value);  // our keys need no escapes
  }
  template <typename List, typename Each>  // void(Members&, const element&)
  void Array(std::string_view key, const List& list, const Each& each) {
    Key(key) += '[';
    bool first = true;
    for (const auto& element : list) {
      if (!first) out_ += ',';
      first = false;
      Members members(out_);
      each(members, element);
    }
    out_ += ']';
  }

 private:
  std::string& out_;
  bool first_ = true;
};

void AddMetadata(Members& object, const Metadata& m) {
  Members out(object.Key("metadata"));
  out.String("name", m.name);
  out.StringUnlessEmpty("namespace", m.ns);
  out.StringUnlessEmpty("uid", m.uid);
  if (m.generation != 0) out.Int("generation", m.generation);
  if (m.created != 0) out.String("creationTimestamp", Rfc3339(m.created));
  out.Map("labels", m.labels);
  out.Map("annotations", m.annotations);
  if (m.managed_fields.empty()) return;
  out.Array("managedFields", m.managed_fields,
            [](Members& entry, const Metadata::ManagedFields& fields) {
              entry.String("manager", fields.manager);
              entry.String("operation", fields.operation);
              entry.String("apiVersion", "image.openshift.io/v1");
              entry.String("time", Rfc3339(fields.time));
              entry.String("fieldsType", "FieldsV1");
              entry.Key("fieldsV1") += fields.fields;
              entry.StringUnlessEmpty("subresource", fields.subresource);
            });
}

}  // namespace

std::string ToProtobuf(const Image& image) {
  Message out;
  out.Bytes(1, ToProtobuf(image.metadata)).Bytes(2, image.reference);
  // RawExtension; the reference's encoder ends the JSON with a line feed.
  out.Bytes(3, image.docker_metadata.empty()
                   ? ""
                   : Message().Bytes(1, image.docker_metadata + "\n").bytes());
  out.Bytes(4, image.docker_metadata_version).Bytes(5, image.manifest);
  for (const Layer& layer : image.layers) {
    out.Bytes(6, Message()
                     .Bytes(1, layer.name)
                     .Varint(2, Number(layer.size))
                     .Bytes(3, layer.media_type)
                     .bytes());
  }
  out.Bytes(9, image.media_type).Bytes(10, image.config);
  for (const Child& child : image.children) {
    out.Bytes(11, Message()
                      .Bytes(1, child.digest)
                      .Bytes(2, child.media_type)
                      .Varint(3, Number(child.size))
                      .Bytes(4, child.architecture)
                      .Bytes(5, child.os)
                      .Bytes(6, child.variant)
                      .bytes());
  }
  return out.bytes();
}

std::string ToProtobuf(const ImageStream& stream) {
  Message spec;
  spec.Bytes(1, "");
  for (const TagSpec& tag : stream.spec_tags) {
    Message out;
    out.Bytes(1, tag.name);
    if (!tag.from_kind.empty()) {
      out.Bytes(3, Message()
                       .Bytes(1, tag.from_kind)
                       .Bytes(2, "")
                       .Bytes(3, tag.from_name)
                       .Bytes(4, "")
                       .Bytes(5, "")
                       .Bytes(6, "")
                       .Bytes(7, "")
                       .bytes());
    }
    out.Varint(4, 0);
    if (tag.generation) out.Varint(5, Number(*tag.generation));
    out.Bytes(6, Message().Varint(1, 0).Varint(2, tag.scheduled).Bytes(3, tag.import_mode).bytes());
    out.Bytes(7, Message().Bytes(1, "Source").bytes());
    spec.Bytes(2, out.bytes());
  }
  spec.Bytes(3, Message().Varint(3, stream.local).bytes());

  Message status;
  status.Bytes(1, stream.repository);
  for (const Tag& tag : stream.tags) {
    Message out;
    out.Bytes(1, tag.name);
    for (const TagEvent& event : tag.items) {
      out.Bytes(2, Message()
                       .Time(1, event.created)
                       .Bytes(2, event.reference)
                       .Bytes(3, event.image)
                       .Varint(4, Number(event.generation))
                       .bytes());
    }
    status.Bytes(2, out.bytes());
  }
  status.Bytes(3, "");
  return Message()
      .Bytes(1, ToProtobuf(stream.metadata))
      .Bytes(2, spec.bytes())
      .Bytes(3, status.bytes())
      .bytes();
}

std::string ToJson(const Image& image, std::string_view api_version) {
  std::string text;
  {
    Members out(text);
    out.String("kind", "Image");
    out.String("apiVersion", api_version);
    AddMetadata(out, image.metadata);
    out.StringUnlessEmpty("dockerImageReference", image.reference);
    out.Key("dockerImageMetadata") +=
        image.docker_metadata.empty() ? "null" : image.docker_metadata;
    out.StringUnlessEmpty("dockerImageMetadataVersion", image.docker_metadata_version);
    out.StringUnlessEmpty("dockerImageManifest", image.manifest);
    if (!image.layers.empty()) {
      out.Array("dockerImageLayers", image.layers, [](Members& entry, const Layer& layer) {
        entry.String("name", layer.name);
        entry.Int("size", layer.size);
        entry.String("mediaType", layer.media_type);
      });
    }
    out.StringUnlessEmpty("dockerImageManifestMediaType", image.media_type);
    out.StringUnlessEmpty("dockerImageConfig", image.config);
    if (!image.children.empty()) {
      out.Array("dockerImageManifests", image.children, [](Members& entry, const Child& child) {
        entry.String("digest", child.digest);
        entry.String("mediaType", child.media_type);
        entry.Int("manifestSize", child.size);
        entry.String("architecture", child.architecture);
        entry.String("os", child.os);
        entry.StringUnlessEmpty("variant", child.variant);
      });
    }
  }
  return text;
}

std::string ToJson(const ImageStream& stream, std::string_view api_version) {
  std::string text;
  {
    Members out(text);
    out.String("kind", "ImageStream");
    out.String("apiVersion", api_version);
    AddMetadata(out, stream.metadata);
    {
      Members spec(out.Key("spec"));
      spec.Key("lookupPolicy") += stream.local ? "{\"local\":true}" : "{\"local\":false}";
      if (!stream.spec_tags.empty()) {
        spec.Array("tags", stream.spec_tags, [](Members& entry, const TagSpec& tag) {
          entry.String("name", tag.name);
          entry.Key("annotations") += "null";
          if (!tag.from_kind.empty()) {
            Members from(entry.Key("from"));
            from.String("kind", tag.from_kind);
            from.String("name", tag.from_name);
          }
          entry.Key("generation") += tag.generation ? std::to_string(*tag.generation) : "null";
          {
            Members policy(entry.Key("importPolicy"));
            if (tag.scheduled) policy.Key("scheduled") += "true";
            policy.StringUnlessEmpty("importMode", tag.import_mode);
          }
          entry.Key("referencePolicy") += "{\"type\":\"Source\"}";
        });
      }
    }
    Members status(out.Key("status"));
    status.String("dockerImageRepository", stream.repository);
    if (!stream.tags.empty()) {
      status.Array("tags", stream.tags, [](Members& entry, const Tag& tag) {
        entry.String("tag", tag.name);
        entry.Array("items", tag.items, [](Members& item, const TagEvent& event) {
          item.String("created", Rfc3339(event.created));
          item.String("dockerImageReference", event.reference);
          item.String("image", event.image);
          item.Int("generation", event.generation);
        });
      });
    }
  }
  return text;
}

std::string Envelope(std::string_view api_version, std::string_view kind, std::string_view object) {
  Message unknown;
  unknown.Bytes(1, Message().Bytes(1, api_version).Bytes(2, kind).bytes())
      .Bytes(2, object)
      .Bytes(3, "")
      .Bytes(4, "");
  return std::string("k8s\0", 4) + unknown.bytes();
}

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
      case '\\':
        out += '\\';
        out += c;
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == '<' || c == '>' || c == '&') {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
  return out;
}

std::string Rfc3339(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  gmtime_r(&time, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace strata::testing_support
