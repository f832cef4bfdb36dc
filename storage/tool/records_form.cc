#include "storage/tool/records_form.h"

#include <fmt/format.h>

#include <utility>

#include "codec/decode_json.h"
#include "codec/encode_protobuf.h"
#include "proto/image/image_v1.pb.h"
#include "proto/k8s/runtime.pb.h"

namespace strata::tool {
namespace {

namespace image_v1 = github::com::openshift::api::image::v1;

constexpr std::string_view kMagic("k8s\0", 4);

std::string_view KindName(records::Kind kind) { return kind == records::Kind::kImage ? "Image" : "ImageStream"; }

std::string Root(std::string_view prefix) {
  while (prefix.starts_with('/')) prefix.remove_prefix(1);
  while (prefix.ends_with('/')) prefix.remove_suffix(1);
  return prefix.empty() ? std::string("/") : fmt::format("/{}/", prefix);
}

base::StatusOr<std::string> ObjectOf(records::Kind kind, std::string_view value) {
  const auto check = [&](std::string_view k, std::string_view version) {
    if (k == KindName(kind) && (version == "image.openshift.io/v1" || version == "v1")) return base::OkStatus();
    return base::DataLossError(fmt::format("holds a {} of {}", k, version));
  };
  if (value.starts_with(kMagic)) {
    k8s::io::apimachinery::pkg::runtime::Unknown unknown;
    const std::string_view body = value.substr(kMagic.size());
    if (!unknown.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
      return base::DataLossError("the envelope doesn't parse");
    }
    STRATA_RETURN_IF_ERROR(check(unknown.type_meta().kind(), unknown.type_meta().api_version()));
    return unknown.raw();
  }
  if (value.starts_with("k8s:enc:")) return base::DataLossError("it is encrypted");
  const auto decode = [&](auto message) -> base::StatusOr<std::string> {
    STRATA_ASSIGN_OR_RETURN(const auto type, codec::DecodeJson(value, message));
    STRATA_RETURN_IF_ERROR(check(type.kind, type.api_version));
    return codec::EncodeProtobuf(message);
  };
  return kind == records::Kind::kImage ? decode(image_v1::Image()) : decode(image_v1::ImageStream());
}

}  // namespace

std::string KeyOf(const records::Id& id, std::string_view prefix) {
  if (id.kind == records::Kind::kImage) return fmt::format("{}images/{}", Root(prefix), id.name);
  return fmt::format("{}imagestreams/{}/{}", Root(prefix), id.ns, id.name);
}

base::StatusOr<records::Id> ParseKey(std::string_view key, std::string_view prefix) {
  const std::string root = Root(prefix);
  std::string_view rest = key;
  if (rest.starts_with(root)) {
    rest.remove_prefix(root.size());
    const size_t first = rest.find('/'), last = rest.rfind('/');
    if (first != std::string_view::npos && first + 1 < rest.size()) {
      const std::string_view resource = rest.substr(0, first);
      if (resource == "images" && last == first) return records::Id{records::Kind::kImage, "", std::string(rest.substr(first + 1))};
      if (resource == "imagestreams" && last > first + 1 && last + 1 < rest.size() &&
          rest.find('/', first + 1) == last) {
        return records::Id{records::Kind::kImageStream, std::string(rest.substr(first + 1, last - first - 1)),
                           std::string(rest.substr(last + 1))};
      }
    }
  }
  return base::InvalidArgumentError(fmt::format("{}: is no key of an image or image stream", key));
}

std::string EncodeRecord(records::Kind kind, std::string_view object) {
  k8s::io::apimachinery::pkg::runtime::Unknown unknown;
  unknown.mutable_type_meta()->set_api_version("image.openshift.io/v1");
  unknown.mutable_type_meta()->set_kind(std::string(KindName(kind)));
  unknown.set_raw(std::string(object));
  std::string value(kMagic);
  codec::AppendProtobuf(unknown, value);
  return value;
}

records::Change DecodeRecord(const records::Id& id, std::string_view value, base::Revision revision) {
  records::Change change{.id = id, .state = records::Change::State::kPresent, .revision = revision, .object = {}, .reason = {}};
  auto object = ObjectOf(id.kind, value);
  if (object.ok()) {
    change.object = *std::move(object);
  } else {
    change.state = records::Change::State::kUnreadable;
    change.reason = base::Message(object.status());
  }
  return change;
}

}  // namespace strata::tool
