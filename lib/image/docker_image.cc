#include "lib/image/docker_image.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "lib/codec/decode_json.h"
#include "lib/codec/encode_json.h"
#include "proto/image/docker_v10.pb.h"

namespace strata::image {
namespace {

constexpr std::string_view kVersion = "1.0";
constexpr std::string_view kApiVersion = "image.openshift.io/1.0";

}  // namespace

base::Status NormalizeMetadata(v1::Image& image) {
  ::github::com::openshift::api::image::docker10::DockerImage metadata;
  const std::string& stored = image.docker_image_metadata().raw();
  if (!stored.empty()) {
    const auto type = codec::DecodeJson(stored, metadata);
    if (!type.ok())
      return base::DataLossError(
          fmt::format("dockerImageMetadata: {}", base::Message(type.status())));
    if (!type->kind.empty() && type->kind != "DockerImage")
      return base::DataLossError(
          fmt::format("dockerImageMetadata: no DockerImage but {}", type->kind));
  }
  // With the line feed of Go's serializer, which protobuf keeps.
  image.mutable_docker_image_metadata()->set_raw(
      codec::EncodeJson(metadata, {"DockerImage", kApiVersion}) + "\n");
  if (image.docker_image_metadata_version().empty())
    image.set_docker_image_metadata_version(std::string(kVersion));
  return base::OkStatus();
}

}  // namespace strata::image
