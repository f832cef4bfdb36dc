#include "server/objects/image_kinds.h"

#include <functional>
#include <memory>
#include <utility>

#include "lib/image/tags.h"
#include "proto/image/image_v1.pb.h"
#include "server/registry/image_v1.h"

namespace strata::objects {
namespace {

namespace v1 = image::v1;
using google::protobuf::Message;

auto PresentStream(const image::RegistryHostnames& registry) {
  return [registry](base::Revision revision, Message& stored) {
    image::Present(registry, revision, static_cast<v1::ImageStream&>(stored));
    return base::OkStatus();
  };
}

base::Status PresentImage(base::Revision revision, Message& stored) {
  return image::Present(revision, static_cast<v1::Image&>(stored));
}

// What strategy.go of openshift-apiserver's image streams makes of an empty one, which has no
// repository.
void DecorateStreamBookmark(Message& object) {
  auto& stream = static_cast<v1::ImageStream&>(object);
  stream.mutable_metadata()->set_namespace_("default");
  stream.mutable_status()->clear_docker_image_repository();
  stream.mutable_status()->clear_public_docker_image_repository();
}

// What `for_each` makes of the tags of a stream.
template <typename Tag>
auto TagsBy(void (*for_each)(const v1::ImageStream&, size_t, const std::function<bool(Tag)>&),
            const registry::Resource& resource) {
  return [for_each, &resource](const Message& record, size_t from, Kind::Sink visit) {
    for_each(static_cast<const v1::ImageStream&>(record), from, [&](Tag tag) {
      return visit(ObjectOf(resource, std::make_unique<Tag>(std::move(tag))));
    });
  };
}

Kind TagsOf(const registry::Resource& resource, const image::RegistryHostnames& registry,
            decltype(Kind::expand) expand) {
  return {.resource = resource,
          .record = records::Kind::kImageStream,
          .prototype = v1::ImageStream::default_instance(),
          .present = PresentStream(registry),
          .expand = std::move(expand)};
}

}  // namespace

ImageKinds::ImageKinds(const image::RegistryHostnames& registry)
    : streams{.resource = registry::ImageStreams(),
              .record = records::Kind::kImageStream,
              .prototype = v1::ImageStream::default_instance(),
              .present = PresentStream(registry),
              .decorate_bookmark = DecorateStreamBookmark},
      images{.resource = registry::Images(),
             .record = records::Kind::kImage,
             .prototype = v1::Image::default_instance(),
             .present = PresentImage},
      stream_tags(TagsOf(registry::ImageStreamTags(), registry,
                         TagsBy(image::ForEachImageStreamTag, registry::ImageStreamTags()))),
      tags(TagsOf(registry::ImageTags(), registry,
                  TagsBy(image::ForEachImageTag, registry::ImageTags()))) {}

}  // namespace strata::objects
