#include "server/endpoints/image_objects.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/image/tags.h"
#include "server/endpoints/get_request.h"

namespace strata::endpoints {
namespace {

namespace v1 = image::v1;

template <typename Record>
using Found = base::StatusOr<std::optional<Record>>;

template <typename Object>
Made Whole(Object object) {
  return std::make_unique<Object>(std::move(object));
}

// The record, or 404 of the call's resource under `name`.
template <typename Record>
Made WholeOr404(Found<Record> found, const Call& call, std::string_view what,
                const std::string& name) {
  if (!found.ok()) return ErrorOf(found.status(), what);
  if (!*found) return api::NotFound(*call.resource, name);
  return Whole(**std::move(found));
}

// The image that the tag points at. Nothing if there is none.
Found<v1::Image> ImageOf(RecordReader& records, const v1::TagEvent* event) {
  if (event == nullptr || event->image().empty()) return std::optional<v1::Image>();
  return records.Image(event->image());
}

}  // namespace

Made MakeImageStream(RecordReader& records, const Call& call) {
  return WholeOr404(records.Stream(call.info->ns, call.info->name), call, "the image stream",
                    call.info->name);
}

Made MakeImageStreamStatus(RecordReader& records, const Call& call) {
  return WholeOr404(records.StoredStream(call.info->ns, call.info->name), call, "the image stream",
                    call.info->name);
}

Made MakeImage(RecordReader& records, const Call& call) {
  return WholeOr404(records.Image(call.info->name), call, "the image", call.info->name);
}

Made MakeImageStreamTag(RecordReader& records, const Call& call) {
  const auto parts = image::SplitTagName(call.info->name);
  if (!parts) return api::BadRequest("ImageStreamTags must be retrieved with <name>:<tag>");
  const auto& [name, tag] = *parts;
  if (const auto refused = RefuseName(name)) return *refused;
  const Found<v1::ImageStream> stream = records.Stream(call.info->ns, name);
  if (!stream.ok()) return ErrorOf(stream.status(), "the image stream");
  if (!*stream) return api::NotFound(*call.resource, name);
  const v1::TagEvent* event = image::NewestEvent(**stream, tag);
  if (event == nullptr || event->image().empty())
    return api::NotFound(*call.resource, call.info->name);
  Found<v1::Image> image = ImageOf(records, event);
  if (!image.ok()) return ErrorOf(image.status(), "the image");
  if (!*image) return api::NotFound(*call.resource, event->image());
  return Whole(image::MakeImageStreamTag(**stream, tag, **std::move(image)));
}

Made MakeImageTag(RecordReader& records, const Call& call) {
  const auto parts = image::SplitTagName(call.info->name);
  if (!parts) return api::BadRequest("ImageTags must be retrieved with <name>:<tag>");
  const auto& [name, tag] = *parts;
  if (const auto refused = RefuseName(name)) return *refused;
  const Found<v1::ImageStream> stream = records.Stream(call.info->ns, name);
  if (!stream.ok()) return ErrorOf(stream.status(), "the image stream");
  if (!*stream) return api::NotFound(*call.resource, name);
  const Found<v1::Image> image = ImageOf(records, image::NewestEvent(**stream, tag));
  if (!image.ok()) return ErrorOf(image.status(), "the image");
  auto made = image::MakeImageTag(**stream, tag, *image ? &**image : nullptr);
  if (!made) return api::NotFound(*call.resource, call.info->name);
  return Whole(*std::move(made));
}

Maker ImageStreamImages(const layers::Index& index) {
  return [&index](RecordReader& records, const Call& call) -> Made {
    const auto parts = image::SplitImageName(call.info->name);
    if (!parts) return api::BadRequest("ImageStreamImages must be retrieved with <name>@<id>");
    const auto& [name, id] = *parts;
    if (const auto refused = RefuseName(name)) return *refused;
    const Found<v1::ImageStream> stream = records.Stream(call.info->ns, name);
    if (!stream.ok()) return ErrorOf(stream.status(), "the image stream");
    if (!*stream) return api::NotFound(*call.resource, name);
    const auto reached = index.ImagesOf(call.info->ns, name);
    if (!reached.ok() && reached.status().code() != base::StatusCode::kNotFound)
      return ErrorOf(reached.status(), "the image stream");
    const std::vector<std::string> names = reached.ok() ? *reached : std::vector<std::string>();
    const auto meant = std::find_if(names.begin(), names.end(), [&id = id](const auto& one) {
      return image::IsMeantBy(one, id);
    });
    if (meant == names.end()) return api::NotFoundSingular(*call.resource, call.info->name);
    Found<v1::Image> image = records.Image(*meant);
    if (!image.ok()) return ErrorOf(image.status(), "the image");
    if (!*image) return api::NotFound(*call.resource, *meant);
    return Whole(image::MakeImageStreamImage(**stream, id, **std::move(image)));
  };
}

}  // namespace strata::endpoints
