#include "server/wire/encode.h"

#include <cstdint>

#include "lib/codec/encode_protobuf.h"
#include "lib/codec/json_text.h"
#include "lib/codec/yaml.h"

namespace strata::wire {
namespace {

void AppendLength(size_t length, std::string& out) {
  while (length >= 0x80) {
    out += static_cast<char>(length | 0x80);
    length >>= 7;
  }
  out += static_cast<char>(length);
}

void AppendField(char tag, std::string_view bytes, std::string& out) {
  out += tag;
  AppendLength(bytes.size(), out);
  out += bytes;
}

}  // namespace

void AppendEnvelopeHead(const codec::TypeMeta& type, size_t raw_size, std::string& out) {
  std::string type_meta;
  AppendField('\x0a', type.api_version, type_meta);
  AppendField('\x12', type.kind, type_meta);
  out += std::string_view("k8s\0", 4);
  AppendField('\x0a', type_meta, out);
  out += '\x12';
  AppendLength(raw_size, out);
}

// runtime.TypeMeta and runtime.Unknown, with the empty contentEncoding and contentType that gogo
// writes.
void AppendEnvelope(const codec::TypeMeta& type, std::string_view raw, std::string& out) {
  out.reserve(out.size() + raw.size() + type.kind.size() + type.api_version.size() + 32);
  AppendEnvelopeHead(type, raw.size(), out);
  out += raw;
  out += kEnvelopeTail;
}

std::string Encode(const google::protobuf::Message& object, const codec::TypeMeta& type,
                   const Representation& representation) {
  if (representation.type != MediaType::kProtobuf) {
    return EncodeText(codec::EncodeJson(object, type), representation);
  }
  std::string out;
  AppendEnvelope(type, codec::EncodeProtobuf(object), out);
  return out;
}

std::string EncodeText(std::string_view json, const Representation& representation,
                       const std::stop_token& stop) {
  if (representation.type == MediaType::kYaml) return codec::JsonToYaml(json, stop);
  if (representation.pretty) return codec::Indent(json);
  return std::string(json) + '\n';
}

}  // namespace strata::wire
