// The tags of an image stream as objects of their own (openshift-apiserver
// pkg/image/apiserver/registry/{imagestreamtag,imagetag,imagestreamimage}/rest.go). Streams are as
// presented (presentation.h): tags stand once each; images too.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/image/image_v1.pb.h"

namespace strata::image {

namespace v1 = ::github::com::openshift::api::image::v1;

// "STREAM:TAG" and "STREAM@IMAGE"; nothing if it isn't two parts that aren't empty.
std::optional<std::pair<std::string, std::string>> SplitTagName(std::string_view name);
std::optional<std::pair<std::string, std::string>> SplitImageName(std::string_view name);

// What the tag points at now, or null.
const v1::TagEvent* NewestEvent(const v1::ImageStream& stream, std::string_view tag);

// The images that its tags have ever pointed at.
std::vector<std::string> ImagesOf(const v1::ImageStream& stream);

// Whether an image called `name` is meant by `id`: a prefix of its name, or of the digits of its
// digest.
bool IsMeantBy(std::string_view name, std::string_view id);

// The tag has an image: NewestEvent names it, and `image` is its record.
v1::ImageStreamTag MakeImageStreamTag(const v1::ImageStream& stream, std::string_view tag,
                                      v1::Image image);

// Nothing if the stream has no such tag. The image is null if there is none.
std::optional<v1::ImageTag> MakeImageTag(const v1::ImageStream& stream, std::string_view tag,
                                         const v1::Image* image);

// As lists have them, in the order of tags' names: without the images' own records. Of
// ImageStreamTags only those that have an image. From the one at `from` on, until `visit` says no:
// each has all that its stream's metadata holds, and a stream thousands of tags.
void ForEachImageStreamTag(const v1::ImageStream& stream, size_t from,
                           const std::function<bool(v1::ImageStreamTag tag)>& visit);
void ForEachImageTag(const v1::ImageStream& stream, size_t from,
                     const std::function<bool(v1::ImageTag tag)>& visit);

v1::ImageStreamImage MakeImageStreamImage(const v1::ImageStream& stream, std::string_view id,
                                          v1::Image image);

}  // namespace strata::image
