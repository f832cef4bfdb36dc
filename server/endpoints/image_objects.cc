#include "server/endpoints/image_objects.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <variant>
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

// The record, or 404 of the call's resource under the name that was asked for.
template <typename Record>
Made WholeOr404(Found<Record> found, const Call& call, std::string_view what) {
  if (!found.ok()) return ErrorOf(found.status(), what);
  if (!*found) return api::NotFound(*call.resource, call.info->name);
  return Whole(**std::move(found));
}

// Of an object whose name has two parts, of which the first names its stream.
struct OfStream {
  std::string name, part;  // the stream's; a tag, or an image
  v1::ImageStream stream;
};
using Parts = std::optional<std::pair<std::string, std::string>>;
std::variant<api::Error, OfStream> StreamOf(RecordReader& records, const Call& call, Parts parts,
                                            std::string_view form) {
  if (!parts) return api::BadRequest(form);
  auto& [name, part] = *parts;
  if (auto refused = RefuseName(name)) return *std::move(refused);
  Found<v1::ImageStream> stream = records.Stream(call.info->ns, name);
  if (!stream.ok()) return ErrorOf(stream.status(), "the image stream");
  if (!*stream) return api::NotFound(*call.resource, name);
  return OfStream{std::move(name), std::move(part), **std::move(stream)};
}

}  // namespace

Made MakeImageStream(RecordReader& records, const Call& call) {
  return WholeOr404(records.Stream(call.info->ns, call.info->name), call, "the image stream");
}

Made MakeImageStreamStatus(RecordReader& records, const Call& call) {
  return WholeOr404(records.StoredStream(call.info->ns, call.info->name), call, "the image stream");
}

Made MakeImage(RecordReader& records, const Call& call) {
  return WholeOr404(records.Image(call.info->name), call, "the image");
}

Made MakeImageStreamTag(RecordReader& records, const Call& call) {
  const auto found = StreamOf(records, call, image::SplitTagName(call.info->name),
                              "ImageStreamTags must be retrieved with <name>:<tag>");
  if (const auto* error = std::get_if<api::Error>(&found)) return *error;
  const auto& [name, tag, stream] = std::get<OfStream>(found);
  const v1::TagEvent* event = image::NewestEvent(stream, tag);
  if (event == nullptr || event->image().empty())
    return api::NotFound(*call.resource, call.info->name);
  Found<v1::Image> image = records.Image(event->image());
  if (!image.ok()) return ErrorOf(image.status(), "the image");
  if (!*image) return api::NotFound(*call.resource, event->image());
  return Whole(image::MakeImageStreamTag(stream, tag, **std::move(image)));
}

Made MakeImageTag(RecordReader& records, const Call& call) {
  const auto found = StreamOf(records, call, image::SplitTagName(call.info->name),
                              "ImageTags must be retrieved with <name>:<tag>");
  if (const auto* error = std::get_if<api::Error>(&found)) return *error;
  const auto& [name, tag, stream] = std::get<OfStream>(found);
  const v1::TagEvent* event = image::NewestEvent(stream, tag);
  std::optional<v1::Image> image;
  if (event != nullptr && !event->image().empty()) {
    Found<v1::Image> read = records.Image(event->image());
    if (!read.ok()) return ErrorOf(read.status(), "the image");
    image = *std::move(read);
  }
  auto made = image::MakeImageTag(stream, tag, image ? &*image : nullptr);
  if (!made) return api::NotFound(*call.resource, call.info->name);
  return Whole(*std::move(made));
}

Maker ImageStreamImages(const layers::Index& index) {
  return [&index](RecordReader& records, const Call& call) -> Made {
    const auto found = StreamOf(records, call, image::SplitImageName(call.info->name),
                                "ImageStreamImages must be retrieved with <name>@<id>");
    if (const auto* error = std::get_if<api::Error>(&found)) return *error;
    const auto& [name, id, stream] = std::get<OfStream>(found);
    const auto names = index.WithChildren(image::ImagesOf(stream));
    if (!names.ok()) return ErrorOf(names.status(), "the image stream");
    const auto meant = std::find_if(names->begin(), names->end(), [&id = id](const auto& one) {
      return image::IsMeantBy(one, id);
    });
    if (meant == names->end()) return api::NotFoundSingular(*call.resource, call.info->name);
    Found<v1::Image> image = records.Image(*meant);
    if (!image.ok()) return ErrorOf(image.status(), "the image");
    if (!*image) return api::NotFound(*call.resource, *meant);
    return Whole(image::MakeImageStreamImage(stream, id, **std::move(image)));
  };
}

}  // namespace strata::endpoints
