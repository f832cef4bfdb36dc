#include "storage/records/record.h"

#include <fmt/format.h>

#include <utility>

#include "base/bytes.h"
#include "base/status.h"
#include "codec/decode_json.h"
#include "codec/encode_protobuf.h"
#include "proto/image/image_v1.pb.h"
#include "proto/k8s/runtime.pb.h"

namespace strata::records {
namespace {

namespace image_v1 = ::github::com::openshift::api::image::v1;
using k8s::io::apimachinery::pkg::runtime::Unknown;

constexpr std::string_view kMagic("k8s\0", 4);
constexpr std::string_view kEncrypted = "k8s:enc:";
constexpr std::string_view kApiVersion = "image.openshift.io/v1";
constexpr std::string_view kLegacyVersion = "v1";

base::Status CheckType(Kind kind, std::string_view found_kind, std::string_view api_version) {
  if (api_version != kApiVersion && api_version != kLegacyVersion) {
    return base::DataLossError(
        fmt::format("apiVersion \"{}\" where image.openshift.io/v1 is expected",
                    base::Printable(api_version, 60)));
  }
  if (found_kind != KindName(kind)) {
    return base::DataLossError(fmt::format("kind \"{}\" where {} is expected",
                                           base::Printable(found_kind, 60), KindName(kind)));
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

base::StatusOr<std::string> FromEnvelope(Kind kind, std::string_view bytes) {
  Unknown unknown;
  if (!unknown.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::DataLossError("malformed protobuf in the envelope");
  }
  if (!unknown.content_encoding().empty()) {
    return base::DataLossError(fmt::format("content encoding \"{}\" isn't known",
                                           base::Printable(unknown.content_encoding(), 60)));
  }
  if (unknown.content_type() == "application/json") return FromJson(kind, unknown.raw());
  if (!unknown.content_type().empty() &&
      unknown.content_type() != "application/vnd.kubernetes.protobuf") {
    return base::DataLossError(fmt::format("content type \"{}\" isn't known",
                                           base::Printable(unknown.content_type(), 60)));
  }
  STRATA_RETURN_IF_ERROR(
      CheckType(kind, unknown.type_meta().kind(), unknown.type_meta().api_version()));
  return std::move(*unknown.mutable_raw());
}

base::StatusOr<std::string> ObjectOf(Kind kind, std::string_view value) {
  if (value.empty()) return base::DataLossError("the value is empty");
  if (value.starts_with(kMagic)) return FromEnvelope(kind, value.substr(kMagic.size()));
  if (value.starts_with(kEncrypted)) {
    return base::DataLossError(
        fmt::format("encrypted at rest ({}…)", base::Printable(value.substr(0, 24), 24)));
  }
  const size_t first = value.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && value[first] == '{')
    return FromJson(kind, value.substr(first));
  return base::DataLossError("neither Kubernetes protobuf nor JSON");
}

}  // namespace

Change Decode(Id id, std::string_view value, base::Revision revision) {
  Change change{.id = std::move(id),
                .state = Change::State::kPresent,
                .revision = revision,
                .object = {},
                .reason = {}};
  auto object = ObjectOf(change.id.kind, value);
  if (object.ok()) {
    change.object = *std::move(object);
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
  unknown.mutable_type_meta()->set_kind(std::string(KindName(kind)));
  unknown.set_raw(std::string(object));
  std::string value(kMagic);
  codec::AppendProtobuf(unknown, value);
  return value;
}

std::string_view KindName(Kind kind) {
  return kind == Kind::kImage ? "Image" : "ImageStream";
}

}  // namespace strata::records
