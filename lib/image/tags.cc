#include "lib/image/tags.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "lib/image/docker_image.h"

namespace strata::image {
namespace {

std::optional<std::pair<std::string, std::string>> Split(std::string_view name, char at) {
  const size_t first = name.find(at);
  if (first == 0 || first == name.npos || first + 1 == name.size()) return std::nullopt;
  if (name.find(at, first + 1) != name.npos) return std::nullopt;
  return std::pair(std::string(name.substr(0, first)), std::string(name.substr(first + 1)));
}

const v1::TagReference* SpecOf(const v1::ImageStream& stream, std::string_view tag) {
  for (const v1::TagReference& one : stream.spec().tags())
    if (one.name() == tag) return &one;
  return nullptr;
}

const v1::NamedTagEventList* StatusOf(const v1::ImageStream& stream, std::string_view tag) {
  for (const v1::NamedTagEventList& one : stream.status().tags())
    if (one.tag() == tag) return &one;
  return nullptr;
}

// Whence it is pulled (internal/imageutil/helpers.go ResolveReferenceForTagEvent).
std::string PullSpec(const v1::ImageStream& stream, std::string_view tag,
                     const v1::TagEvent& event) {
  const v1::TagReference* spec = SpecOf(stream, tag);
  const std::string& local = stream.status().docker_image_repository();
  if (spec == nullptr || spec->reference_policy().type() != "Local" || local.empty() ||
      event.image().empty()) {
    return event.docker_image_reference();
  }
  return fmt::format("{}@{}", local, event.image());
}

// library-go pkg/image/imageutil JoinImageStreamTag: a tag without a name is the default one.
std::string TagName(const v1::ImageStream& stream, std::string_view tag) {
  return fmt::format("{}:{}", stream.metadata().name(), tag.empty() ? "latest" : tag);
}

// Of the algorithms that github.com/opencontainers/go-digest knows.
bool IsDigest(std::string_view name) {
  const size_t colon = name.find(':');
  if (colon == name.npos) return false;
  const std::string_view algorithm = name.substr(0, colon), digits = name.substr(colon + 1);
  const size_t size = algorithm == "sha256"   ? 64
                      : algorithm == "sha384" ? 96
                      : algorithm == "sha512" ? 128
                                              : 0;
  return digits.size() == size && size > 0 &&
         digits.find_first_not_of("0123456789abcdef") == digits.npos;
}

// What these objects leave out of an image.
void DropManifest(v1::Image& image) {
  image.clear_docker_image_manifest();
  image.clear_docker_image_config();
}

}  // namespace

std::optional<std::pair<std::string, std::string>> SplitTagName(std::string_view name) {
  if (name.find('@') != name.npos) return std::nullopt;
  return Split(name, ':');
}

std::optional<std::pair<std::string, std::string>> SplitImageName(std::string_view name) {
  return Split(name, '@');
}

const v1::TagEvent* NewestEvent(const v1::ImageStream& stream, std::string_view tag) {
  const v1::NamedTagEventList* history = StatusOf(stream, tag);
  return history == nullptr || history->items().empty() ? nullptr : &history->items(0);
}

// library-go pkg/image/imageutil DigestOrImageMatch.
bool IsMeantBy(std::string_view name, std::string_view id) {
  if (name.starts_with(id)) return true;
  const size_t colon = name.find(':');
  return IsDigest(name) && name.substr(colon + 1).starts_with(id);
}

v1::ImageStreamTag MakeImageStreamTag(const v1::ImageStream& stream, std::string_view tag,
                                      v1::Image image) {
  const v1::TagEvent& event = *NewestEvent(stream, tag);
  v1::ImageStreamTag made;
  auto& metadata = *made.mutable_metadata();
  metadata.set_namespace_(stream.metadata().namespace_());
  metadata.set_name(TagName(stream, tag));
  metadata.set_uid(stream.metadata().uid());
  metadata.set_resource_version(stream.metadata().resource_version());
  *metadata.mutable_creation_timestamp() = event.created();
  *metadata.mutable_labels() = stream.metadata().labels();
  made.set_generation(event.generation());
  *made.mutable_conditions() = StatusOf(stream, tag)->conditions();
  *made.mutable_lookup_policy() = stream.spec().lookup_policy();
  if (const v1::TagReference* spec = SpecOf(stream, tag)) {
    *made.mutable_tag() = *spec;
    // The tag's win.
    for (const auto& [name, value] : spec->annotations()) {
      (*metadata.mutable_annotations())[name] = value;
      (*image.mutable_metadata()->mutable_annotations())[name] = value;
    }
  }
  DropManifest(image);
  image.set_docker_image_reference(PullSpec(stream, tag, event));
  *made.mutable_image() = std::move(image);
  return made;
}

std::optional<v1::ImageTag> MakeImageTag(const v1::ImageStream& stream, std::string_view tag,
                                         const v1::Image* image) {
  const v1::TagReference* spec = SpecOf(stream, tag);
  const v1::NamedTagEventList* status = StatusOf(stream, tag);
  if (spec == nullptr && status == nullptr) return std::nullopt;
  v1::ImageTag made;
  *made.mutable_metadata() = stream.metadata();
  made.mutable_metadata()->set_name(TagName(stream, tag));
  if (spec != nullptr) *made.mutable_spec() = *spec;
  if (status != nullptr) *made.mutable_status() = *status;
  if (image != nullptr) {
    *made.mutable_image() = *image;
    DropManifest(*made.mutable_image());
    made.mutable_image()->set_docker_image_reference(
        PullSpec(stream, tag, *NewestEvent(stream, tag)));
  }
  return made;
}

void ForEachImageStreamTag(const v1::ImageStream& stream,
                           const std::function<void(v1::ImageStreamTag tag)>& visit) {
  for (const v1::NamedTagEventList& tag : stream.status().tags()) {
    if (tag.items().empty() || tag.items(0).image().empty()) continue;
    v1::Image image;
    image.mutable_metadata()->set_name(tag.items(0).image());
    NormalizeMetadata(image).IgnoreError();  // there is none, which is filled in
    visit(MakeImageStreamTag(stream, tag.tag(), std::move(image)));
  }
}

void ForEachImageTag(const v1::ImageStream& stream,
                     const std::function<void(v1::ImageTag tag)>& visit) {
  std::set<std::string_view> names;
  for (const v1::TagReference& tag : stream.spec().tags()) names.insert(tag.name());
  for (const v1::NamedTagEventList& tag : stream.status().tags()) names.insert(tag.tag());
  for (const std::string_view name : names) visit(*MakeImageTag(stream, name, nullptr));
}

v1::ImageStreamImage MakeImageStreamImage(const v1::ImageStream& stream, std::string_view id,
                                          v1::Image image) {
  v1::ImageStreamImage made;
  auto& metadata = *made.mutable_metadata();
  metadata.set_namespace_(stream.metadata().namespace_());
  metadata.set_name(fmt::format("{}@{}", stream.metadata().name(), id));
  *metadata.mutable_creation_timestamp() = image.metadata().creation_timestamp();
  *metadata.mutable_annotations() = stream.metadata().annotations();
  DropManifest(image);
  *made.mutable_image() = std::move(image);
  return made;
}

}  // namespace strata::image
