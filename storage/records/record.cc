#include "storage/records/record.h"

#include <fmt/format.h>

#include <utility>

#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/codec/decode_json.h"
#include "lib/codec/encode_protobuf.h"
#include "lib/codec/field_reader.h"
#include "proto/image/image_v1.pb.h"
#include "proto/k8s/list.pb.h"
#include "proto/k8s/runtime.pb.h"

namespace strata::records {
namespace {

namespace image_v1 = ::github::com::openshift::api::image::v1;
using codec::FieldReader;
using k8s::io::apimachinery::pkg::runtime::Unknown;

constexpr std::string_view kMagic("k8s\0", 4);
constexpr std::string_view kEncrypted = "k8s:enc:";

base::Status CheckType(Kind kind, std::string_view found_kind, std::string_view api_version) {
  if (api_version != kApiVersion && api_version != kLegacyApiVersion) {
    return base::DataLossError(fmt::format("apiVersion \"{}\" where {} is expected",
                                           base::Printable(api_version, 60), kApiVersion));
  }
  if (found_kind != NamesOf(kind).name) {
    return base::DataLossError(fmt::format("kind \"{}\" where {} is expected",
                                           base::Printable(found_kind, 60), NamesOf(kind).name));
  }
  return base::OkStatus();
}

// `json` as the protobuf encoding of the kind's message.
base::StatusOr<std::string> FromJson(Kind kind, std::string_view json) {
  image_v1::Image image;
  image_v1::ImageStream stream;
  google::protobuf::Message& message =
      kind == Kind::kImage ? static_cast<google::protobuf::Message&>(image) : stream;
  STRATA_ASSIGN_OR_RETURN(const codec::DecodedType type, codec::DecodeJson(json, message));
  STRATA_RETURN_IF_ERROR(CheckType(kind, type.kind, type.api_version));
  return codec::EncodeProtobuf(message);
}

// runtime.Unknown (proto/k8s/runtime.proto), by views into it.
struct Envelope {
  std::string_view api_version, kind;
  std::string_view raw;
  std::string_view content_encoding, content_type;
};

base::StatusOr<Envelope> ReadEnvelope(std::string_view bytes) {
  Envelope envelope;
  FieldReader reader(bytes);
  while (reader.Next()) {
    if (reader.number() == 1) {
      FieldReader type(reader.bytes());
      while (type.Next()) {
        if (type.number() == 1) envelope.api_version = type.bytes();
        if (type.number() == 2) envelope.kind = type.bytes();
      }
      if (!type.ok()) return base::DataLossError("malformed protobuf in the envelope");
    }
    if (reader.number() == 2) envelope.raw = reader.bytes();
    if (reader.number() == 3) envelope.content_encoding = reader.bytes();
    if (reader.number() == 4) envelope.content_type = reader.bytes();
  }
  if (!reader.ok()) return base::DataLossError("malformed protobuf in the envelope");
  return envelope;
}

base::StatusOr<std::string> FromEnvelope(Kind kind, std::string value) {
  STRATA_ASSIGN_OR_RETURN(const Envelope envelope,
                          ReadEnvelope(std::string_view(value).substr(kMagic.size())));
  if (!envelope.content_encoding.empty()) {
    return base::DataLossError(fmt::format("content encoding \"{}\" isn't known",
                                           base::Printable(envelope.content_encoding, 60)));
  }
  if (envelope.content_type == "application/json") return FromJson(kind, envelope.raw);
  if (!envelope.content_type.empty() &&
      envelope.content_type != "application/vnd.kubernetes.protobuf") {
    return base::DataLossError(
        fmt::format("content type \"{}\" isn't known", base::Printable(envelope.content_type, 60)));
  }
  STRATA_RETURN_IF_ERROR(CheckType(kind, envelope.kind, envelope.api_version));
  if (envelope.raw.empty()) return std::string();
  // Within its own memory: a list has a hundred thousand records of some kilobytes.
  const auto begin = static_cast<size_t>(envelope.raw.data() - value.data());
  value.resize(begin + envelope.raw.size());
  value.erase(0, begin);
  return value;
}

// Nothing if it isn't there, or the message is malformed.
std::string_view FieldOf(std::string_view message, int number) {
  std::string_view found;
  FieldReader reader(message);
  while (reader.Next())
    if (reader.number() == number) found = reader.bytes();
  return reader.ok() ? found : std::string_view();
}

// Writers leave the resourceVersion empty; what some other one left there isn't the record's.
void DropVersion(std::string& object) {
  constexpr int kMetadata = 1, kResourceVersion = 6;
  if (FieldOf(FieldOf(object, kMetadata), kResourceVersion).empty()) return;
  k8s::io::apimachinery::pkg::apis::meta::v1::AnyObject any;
  if (!any.ParseFromString(object)) return;
  any.mutable_metadata()->clear_resource_version();
  object = any.SerializeAsString();
}

base::StatusOr<std::string> ObjectOf(Kind kind, std::string value) {
  if (value.empty()) return base::DataLossError("the value is empty");
  if (value.starts_with(kMagic)) return FromEnvelope(kind, std::move(value));
  if (value.starts_with(kEncrypted)) {
    return base::DataLossError(fmt::format(
        "encrypted at rest ({}…)", base::Printable(std::string_view(value).substr(0, 24), 24)));
  }
  const size_t first = value.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && value[first] == '{')
    return FromJson(kind, std::string_view(value).substr(first));
  return base::DataLossError("neither Kubernetes protobuf nor JSON");
}

}  // namespace

Change Decode(Id id, std::string value, base::Revision revision) {
  Change change{.id = std::move(id),
                .state = Change::State::kPresent,
                .revision = revision,
                .object = {},
                .reason = {}};
  auto object = ObjectOf(change.id.kind, std::move(value));
  if (object.ok()) {
    change.object = *std::move(object);
    DropVersion(change.object);
  } else {
    change.state = Change::State::kUnreadable;
    change.reason = base::Message(object.status());
  }
  return change;
}

Change Deleted(Id id, base::Revision revision) {
  return {.id = std::move(id),
          .state = Change::State::kDeleted,
          .revision = revision,
          .object = {},
          .reason = {}};
}

std::string Encode(Kind kind, std::string_view object) {
  Unknown unknown;
  unknown.mutable_type_meta()->set_api_version(std::string(kApiVersion));
  unknown.mutable_type_meta()->set_kind(std::string(NamesOf(kind).name));
  unknown.set_raw(std::string(object));
  std::string value(kMagic);
  codec::AppendProtobuf(unknown, value);
  return value;
}

}  // namespace strata::records
