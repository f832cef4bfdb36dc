#include "lib/image/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/base/utf8.h"
#include "lib/codec/json_text.h"
#include "lib/image/defaults.h"
#include "lib/image/object_name.h"

namespace strata::image {
namespace {

using k8s::io::apimachinery::pkg::apis::meta::v1::ObjectMeta;

// The reference's limit for repositories; it keeps keys within what the embedded store takes.
constexpr size_t kMaxName = 255;

base::Status Invalid(std::string_view path, std::string_view reason) {
  return base::InvalidArgumentError(fmt::format("{}: {}", path, reason));
}

base::Status CheckName(const std::string& name) {
  if (name.empty()) return Invalid("metadata.name", "must not be empty");
  if (const std::string problem = PathSegmentProblem(name); !problem.empty())
    return Invalid("metadata.name", problem);
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  if (std::any_of(name.begin(), name.end(), is_control) || !base::IsUtf8(name)) {
    return Invalid("metadata.name", "must be UTF-8 without control characters");
  }
  if (name.size() > kMaxName)
    return Invalid("metadata.name", fmt::format("may not be longer than {} bytes", kMaxName));
  return base::OkStatus();
}

// RFC 1123 label.
bool IsLabel(std::string_view text) {
  const auto is_inner = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !text.empty() && text.size() <= 63 && text.front() != '-' && text.back() != '-' &&
         std::all_of(text.begin(), text.end(), is_inner);
}

// "sha256:" and hexadecimal, or another algorithm so.
bool IsDigest(std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == 0 || colon == std::string_view::npos || text.size() - colon - 1 < 32) return false;
  return text.find_first_not_of("0123456789abcdef", colon + 1) == std::string_view::npos;
}

void DropStoreFields(ObjectMeta& metadata) {
  metadata.clear_resource_version();
  metadata.clear_self_link();
}

base::Status CompactManagedFields(ObjectMeta& metadata) {
  for (int i = 0; i < metadata.managed_fields_size(); ++i) {
    if (!metadata.managed_fields(i).has_fields_v1()) continue;
    std::string& raw = *metadata.mutable_managed_fields(i)->mutable_fields_v1()->mutable_raw();
    std::string compact;
    if (!raw.empty() && !codec::AppendCompact(raw, compact)) {
      return Invalid(fmt::format("metadata.managedFields[{}].fieldsV1", i), "must be JSON");
    }
    raw = std::move(compact);
  }
  return base::OkStatus();
}

// As the reference stores it: compact JSON, and a line feed.
base::Status FillDockerMetadata(v1::Image& image) {
  std::string& version = *image.mutable_docker_image_metadata_version();
  if (!version.empty() && version != "1.0" && version != "pre012")
    return Invalid("dockerImageMetadataVersion", "must be 1.0 or pre012");
  std::string& raw = *image.mutable_docker_image_metadata()->mutable_raw();
  std::string compact;
  if (raw == "null") raw.clear();
  if (raw.empty()) {
    image.mutable_docker_image_metadata()->clear_raw();
    return base::OkStatus();
  }
  if (!codec::AppendCompact(raw, compact) || compact.front() != '{') {
    return Invalid("dockerImageMetadata", "must be an object");
  }
  raw = std::move(compact) + "\n";
  if (version.empty()) version = "1.0";
  return base::OkStatus();
}

template <typename Tags, typename NameOf>
void SortTags(Tags& tags, const NameOf& name_of, std::string_view path, Warnings& warnings) {
  std::stable_sort(tags.begin(), tags.end(),
                   [&](const auto& a, const auto& b) { return name_of(a) < name_of(b); });
  const auto twice =
      std::adjacent_find(tags.begin(), tags.end(),
                         [&](const auto& a, const auto& b) { return name_of(a) == name_of(b); });
  if (twice != tags.end())
    warnings.push_back(fmt::format("{}: tag {} stands there twice", path, name_of(*twice)));
}

}  // namespace

base::Status CheckAndFill(v1::Image& image, Warnings& warnings) {
  ObjectMeta& metadata = *image.mutable_metadata();
  STRATA_RETURN_IF_ERROR(CheckName(metadata.name()));
  if (!metadata.namespace_().empty()) return Invalid("metadata.namespace", "images have none");
  if (!IsDigest(metadata.name()))
    warnings.push_back("metadata.name: isn't a digest, which image streams name images by");
  DropStoreFields(metadata);
  STRATA_RETURN_IF_ERROR(CompactManagedFields(metadata));
  STRATA_RETURN_IF_ERROR(FillDockerMetadata(image));

  for (int i = 0; i < image.docker_image_layers_size(); ++i) {
    const v1::ImageLayer& layer = image.docker_image_layers(i);
    if (layer.size() < 0)
      warnings.push_back(fmt::format("dockerImageLayers[{}].size: is negative", i));
    if (layer.name().empty())
      warnings.push_back(fmt::format("dockerImageLayers[{}].name: is empty", i));
  }
  for (int i = 0; i < image.docker_image_manifests_size(); ++i) {
    if (image.docker_image_manifests(i).digest().empty()) {
      return Invalid(fmt::format("dockerImageManifests[{}].digest", i), "must not be empty");
    }
  }
  if (image.docker_image_layers_size() > 0 && image.docker_image_manifests_size() > 0) {
    warnings.push_back("has both layers and manifests: the layers won't be shown");
  }
  return base::OkStatus();
}

base::Status CheckAndFill(v1::ImageStream& stream, std::string_view default_namespace,
                          Warnings& warnings) {
  ObjectMeta& metadata = *stream.mutable_metadata();
  STRATA_RETURN_IF_ERROR(CheckName(metadata.name()));
  if (metadata.namespace_().empty()) metadata.set_namespace_(std::string(default_namespace));
  if (metadata.namespace_().empty())
    return Invalid("metadata.namespace", "must not be empty (or give --namespace)");
  if (!IsLabel(metadata.namespace_())) {
    return Invalid("metadata.namespace",
                   "must be at most 63 of a-z, 0-9 and -, with - inside only");
  }
  DropStoreFields(metadata);
  STRATA_RETURN_IF_ERROR(CompactManagedFields(metadata));
  if (metadata.generation() == 0) metadata.set_generation(1);

  auto& spec_tags = *stream.mutable_spec()->mutable_tags();
  for (int i = 0; i < spec_tags.size(); ++i) {
    v1::TagReference& tag = spec_tags[i];
    if (tag.name().empty())
      return Invalid(fmt::format("spec.tags[{}].name", i), "must not be empty");
    SetDefaults(tag);
  }
  SortTags(
      spec_tags, [](const auto& tag) -> const std::string& { return tag.name(); }, "spec.tags",
      warnings);

  auto& status_tags = *stream.mutable_status()->mutable_tags();
  for (int i = 0; i < status_tags.size(); ++i) {
    if (status_tags[i].tag().empty())
      return Invalid(fmt::format("status.tags[{}].tag", i), "must not be empty");
  }
  SortTags(
      status_tags, [](const auto& tag) -> const std::string& { return tag.tag(); }, "status.tags",
      warnings);
  return base::OkStatus();
}

}  // namespace strata::image
