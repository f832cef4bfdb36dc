#include "server/objects/watch_frames.h"

#include <cstdint>

#include "lib/codec/encode_json.h"
#include "lib/codec/encode_protobuf.h"
#include "server/wire/encode.h"

namespace strata::objects {
namespace {

size_t LengthBytes(size_t length) {
  size_t bytes = 1;
  for (; length >= 0x80; length >>= 7) ++bytes;
  return bytes;
}

void AppendField(char tag, size_t length, std::string& out) {
  out += tag;
  for (; length >= 0x80; length >>= 7) out += static_cast<char>(length | 0x80);
  out += static_cast<char>(length);
}

// Four bytes of length, and metav1.WatchEvent without an envelope of its own
// (k8s.io/apimachinery pkg/runtime/serializer/protobuf LengthDelimitedFramer, RawSerializer).
void AppendProtobufFrame(std::string_view type, std::string_view object, std::string& out) {
  const size_t raw = 1 + LengthBytes(object.size()) + object.size();
  const size_t length = 1 + LengthBytes(type.size()) + type.size() + 1 + LengthBytes(raw) + raw;
  out.reserve(out.size() + 4 + length);
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>(static_cast<uint32_t>(length) >> shift);
  AppendField('\x0a', type.size(), out);
  out += type;
  AppendField('\x12', raw, out);
  AppendField('\x0a', object.size(), out);
  out += object;
}

std::string Encode(const google::protobuf::Message& object, const codec::TypeMeta& type,
                   const WatchForm& form) {
  if (!form.protobuf) return codec::EncodeJson(object, type);
  std::string out;
  wire::AppendEnvelope(type, codec::EncodeProtobuf(object), out);
  return out;
}

}  // namespace

std::string_view ContentType(const WatchForm& form) {
  return form.protobuf ? "application/vnd.kubernetes.protobuf;stream=watch" : "application/json";
}

std::string EncodeObject(const registry::Resource& resource,
                         const google::protobuf::Message& object, const WatchForm& form,
                         base::WallTime now) {
  const std::string_view version = form.beta ? "meta.k8s.io/v1beta1" : "meta.k8s.io/v1";
  switch (form.transform) {
    case wire::Transform::kTable:
      return api::TableOf(resource, object, form.include, now, form.columns, version);
    case wire::Transform::kPartialObjectMetadata:
      return Encode(api::PartialOf(object), {"PartialObjectMetadata", version}, form);
    default:
      return Encode(object, resource.type_meta(), form);
  }
}

void AppendFrame(std::string_view type, std::string_view object, const WatchForm& form,
                 std::string& out) {
  if (form.protobuf) return AppendProtobufFrame(type, object, out);
  out.reserve(out.size() + type.size() + object.size() + 32);
  out.append(R"({"type":")").append(type).append(R"(","object":)").append(object).append("}\n");
}

void AppendErrorFrame(const api::Error& error, const WatchForm& form, std::string& out) {
  AppendFrame("ERROR", Encode(api::StatusOf(error), {"Status", "v1"}, form), form, out);
}

}  // namespace strata::objects
