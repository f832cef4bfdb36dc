#include "lib/image/presentation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/image/defaults.h"
#include "lib/image/docker_image.h"

namespace strata::image {
namespace {

// The reference holds tags in a map: of those with one name the last counts, and they come out
// sorted.
template <typename Tag, typename Name>
void SortByName(google::protobuf::RepeatedPtrField<Tag>& tags, const Name& name) {
  const auto out_of_order = [&](const Tag& a, const Tag& b) { return !(name(a) < name(b)); };
  // As nearly all are: to sort moves them.
  if (std::adjacent_find(tags.begin(), tags.end(), out_of_order) == tags.end()) return;
  std::stable_sort(tags.begin(), tags.end(),
                   [&](const Tag& a, const Tag& b) { return name(a) < name(b); });
  int kept = 0;
  for (int i = 0; i < tags.size(); ++i) {
    if (i + 1 < tags.size() && name(tags[i]) == name(tags[i + 1])) continue;
    if (i != kept) tags.SwapElements(i, kept);
    ++kept;
  }
  tags.DeleteSubrange(kept, tags.size() - kept);
}

template <typename Record>
void SetRevision(base::Revision revision, Record& record) {
  auto& metadata = *record.mutable_metadata();
  if (metadata.resource_version().empty()) metadata.set_resource_version(std::to_string(revision));
}

std::string Repository(const std::string& host, const v1::ImageStream& stream) {
  if (host.empty()) return {};
  return fmt::format("{}/{}/{}", host, stream.metadata().namespace_(), stream.metadata().name());
}

}  // namespace

void PresentStored(base::Revision revision, v1::ImageStream& stream) {
  SetRevision(revision, stream);
  v1::ImageStreamSpec& spec = *stream.mutable_spec();
  for (v1::TagReference& tag : *spec.mutable_tags()) SetDefaults(tag);
  SortByName(*spec.mutable_tags(), [](const v1::TagReference& tag) { return tag.name(); });
  SortByName(*stream.mutable_status()->mutable_tags(),
             [](const v1::NamedTagEventList& tag) { return tag.tag(); });
}

void Present(const RegistryHostnames& registry, base::Revision revision, v1::ImageStream& stream) {
  PresentStored(revision, stream);
  v1::ImageStreamStatus& status = *stream.mutable_status();
  status.set_docker_image_repository(registry.internal.empty()
                                         ? stream.spec().docker_image_repository()
                                         : Repository(registry.internal, stream));
  status.set_public_docker_image_repository(Repository(registry.external, stream));
}

base::Status Present(base::Revision revision, v1::Image& image) {
  SetRevision(revision, image);
  return NormalizeMetadata(image);
}

}  // namespace strata::image
