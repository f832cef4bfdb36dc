#include "lib/image/tags.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
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

// Of a name that several have the first counts.
struct Tag {
  std::string_view name;
  const v1::TagReference* spec = nullptr;
  const v1::NamedTagEventList* status = nullptr;

  // Only if there is one.
  const v1::TagEvent& newest() const { return status->items(0); }
  bool has_image() const {
    return status != nullptr && !status->items().empty() && !newest().image().empty();
  }
};

Tag TagOf(const v1::ImageStream& stream, std::string_view name) {
  return {name, SpecOf(stream, name), StatusOf(stream, name)};
}

// In the order of their names.
std::map<std::string_view, Tag> TagsOf(const v1::ImageStream& stream) {
  std::map<std::string_view, Tag> tags;
  for (const v1::TagReference& spec : stream.spec().tags())
    tags.try_emplace(spec.name(), Tag{spec.name(), &spec, nullptr});
  for (const v1::NamedTagEventList& status : stream.status().tags()) {
    Tag& tag = tags.try_emplace(status.tag(), Tag{status.tag()}).first->second;
    if (tag.status == nullptr) tag.status = &status;
  }
  return tags;
}

// Whence it is pulled (internal/imageutil/helpers.go ResolveReferenceForTagEvent).
std::string PullSpec(const v1::ImageStream& stream, const Tag& tag) {
  const v1::TagReference* spec = tag.spec;
  const v1::TagEvent& event = tag.newest();
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

v1::ImageStreamTag MakeImageStreamTag(const v1::ImageStream& stream, const Tag& tag,
                                      v1::Image image) {
  v1::ImageStreamTag made;
  auto& metadata = *made.mutable_metadata();
  metadata.set_namespace_(stream.metadata().namespace_());
  metadata.set_name(TagName(stream, tag.name));
  metadata.set_uid(stream.metadata().uid());
  metadata.set_resource_version(stream.metadata().resource_version());
  *metadata.mutable_creation_timestamp() = tag.newest().created();
  *metadata.mutable_labels() = stream.metadata().labels();
  made.set_generation(tag.newest().generation());
  *made.mutable_conditions() = tag.status->conditions();
  *made.mutable_lookup_policy() = stream.spec().lookup_policy();
  if (tag.spec != nullptr) {
    *made.mutable_tag() = *tag.spec;
    // The tag's win.
    for (const auto& [name, value] : tag.spec->annotations()) {
      (*metadata.mutable_annotations())[name] = value;
      (*image.mutable_metadata()->mutable_annotations())[name] = value;
    }
  }
  DropManifest(image);
  image.set_docker_image_reference(PullSpec(stream, tag));
  *made.mutable_image() = std::move(image);
  return made;
}

// Without its image.
v1::ImageTag MakeImageTag(const v1::ImageStream& stream, const Tag& tag) {
  v1::ImageTag made;
  *made.mutable_metadata() = stream.metadata();
  made.mutable_metadata()->set_name(TagName(stream, tag.name));
  if (tag.spec != nullptr) *made.mutable_spec() = *tag.spec;
  if (tag.status != nullptr) *made.mutable_status() = *tag.status;
  return made;
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

std::vector<std::string> ImagesOf(const v1::ImageStream& stream) {
  std::vector<std::string> images;
  for (const v1::NamedTagEventList& tag : stream.status().tags()) {
    for (const v1::TagEvent& event : tag.items())
      if (!event.image().empty()) images.push_back(event.image());
  }
  return images;
}

// library-go pkg/image/imageutil DigestOrImageMatch.
bool IsMeantBy(std::string_view name, std::string_view id) {
  if (name.starts_with(id)) return true;
  const size_t colon = name.find(':');
  return IsDigest(name) && name.substr(colon + 1).starts_with(id);
}

v1::ImageStreamTag MakeImageStreamTag(const v1::ImageStream& stream, std::string_view tag,
                                      v1::Image image) {
  return MakeImageStreamTag(stream, TagOf(stream, tag), std::move(image));
}

std::optional<v1::ImageTag> MakeImageTag(const v1::ImageStream& stream, std::string_view name,
                                         const v1::Image* image) {
  const Tag tag = TagOf(stream, name);
  if (tag.spec == nullptr && tag.status == nullptr) return std::nullopt;
  v1::ImageTag made = MakeImageTag(stream, tag);
  if (image != nullptr) {
    *made.mutable_image() = *image;
    DropManifest(*made.mutable_image());
    made.mutable_image()->set_docker_image_reference(PullSpec(stream, tag));
  }
  return made;
}

void ForEachImageStreamTag(const v1::ImageStream& stream, size_t from,
                           const std::function<bool(v1::ImageStreamTag tag)>& visit) {
  const std::map<std::string_view, Tag> tags = TagsOf(stream);
  size_t at = 0;
  for (const v1::NamedTagEventList& status : stream.status().tags()) {
    const Tag& tag = tags.at(status.tag());
    if (!tag.has_image() || at++ < from) continue;
    v1::Image image;
    image.mutable_metadata()->set_name(tag.newest().image());
    NormalizeMetadata(image).IgnoreError();  // there is none, which is filled in
    if (!visit(MakeImageStreamTag(stream, tag, std::move(image)))) return;
  }
}

void ForEachImageTag(const v1::ImageStream& stream, size_t from,
                     const std::function<bool(v1::ImageTag tag)>& visit) {
  size_t at = 0;
  for (const auto& [name, tag] : TagsOf(stream))
    if (at++ >= from && !visit(MakeImageTag(stream, tag))) return;
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
