#include "lib/image/docker_image.h"

#include <fmt/format.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/codec/decode_json.h"
#include "lib/codec/encode_json.h"
#include "proto/image/docker_pre012.pb.h"
#include "proto/image/docker_v10.pb.h"

namespace strata::image {
namespace {

namespace openshift = ::github::com::openshift::api::image;
using google::protobuf::Message;

constexpr std::string_view kKind = "DockerImage";
constexpr std::string_view kGroup = "image.openshift.io/";
constexpr size_t kMaxQuoted = 200;

template <typename DockerImage>
std::unique_ptr<Message> New() {
  return std::make_unique<DockerImage>();
}

struct Version {
  std::string_view name;
  std::string_view api_version;
  std::unique_ptr<Message> (*make)();
};

// The first is that of metadata that name none.
constexpr std::array<Version, 2> kVersions = {{
    {"1.0", "image.openshift.io/1.0", New<openshift::docker10::DockerImage>},
    {"pre012", "image.openshift.io/pre012", New<openshift::dockerpre012::DockerImage>},
}};

base::StatusOr<const Version*> VersionNamed(std::string_view name) {
  const auto* const found =
      std::find_if(kVersions.begin(), kVersions.end(),
                   [&](const Version& version) { return version.name == name; });
  if (found != kVersions.end()) return found;
  return base::InvalidArgumentError(
      fmt::format("no version {} of {}", base::Printable(name, kMaxQuoted), kKind));
}

// That which stored metadata say they have, with or without the group; most say nothing.
base::StatusOr<const Version*> VersionOf(const codec::DecodedType& type, const Version& otherwise) {
  if (!type.kind.empty() && type.kind != kKind) {
    return base::InvalidArgumentError(
        fmt::format("no {} but {}", kKind, base::Printable(type.kind, kMaxQuoted)));
  }
  std::string_view name = type.api_version;
  if (name.starts_with(kGroup)) name.remove_prefix(kGroup.size());
  if (name.empty()) return &otherwise;
  return VersionNamed(name);
}

// Fills `metadata`, which is of `shown`, from what is stored.
base::Status Decode(std::string_view stored, const Version& shown, Message& metadata) {
  STRATA_ASSIGN_OR_RETURN(const codec::DecodedType type, codec::DecodeJson(stored, metadata));
  STRATA_ASSIGN_OR_RETURN(const Version* version, VersionOf(type, shown));
  if (version == &shown) return base::OkStatus();
  const std::unique_ptr<Message> other = version->make();
  STRATA_RETURN_IF_ERROR(codec::DecodeJson(stored, *other).status());
  if (!metadata.ParseFromString(other->SerializeAsString()))
    return base::InternalError("the versions' fields differ");
  return base::OkStatus();
}

base::Status Unreadable(std::string_view field, const base::Status& why) {
  return base::DataLossError(fmt::format("{}: {}", field, base::Message(why)));
}

}  // namespace

base::Status NormalizeMetadata(v1::Image& image) {
  std::string& name = *image.mutable_docker_image_metadata_version();
  if (name.empty()) name = kVersions.front().name;
  const auto shown = VersionNamed(name);
  if (!shown.ok()) return Unreadable("dockerImageMetadataVersion", shown.status());

  const std::unique_ptr<Message> metadata = (*shown)->make();
  std::string& raw = *image.mutable_docker_image_metadata()->mutable_raw();
  if (!raw.empty()) {
    const base::Status decoded = Decode(raw, **shown, *metadata);
    if (!decoded.ok()) return Unreadable("dockerImageMetadata", decoded);
  }
  // With the line feed of Go's serializer, which protobuf keeps.
  raw = codec::EncodeJson(*metadata, {kKind, (*shown)->api_version}) + "\n";
  return base::OkStatus();
}

}  // namespace strata::image
