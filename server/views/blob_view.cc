#include "server/views/blob_view.h"

#include <algorithm>

#include "server/layers/maps.h"

namespace strata::views {

using layers::ImagePointer;
using layers::NameId;
using layers::Reading;
using layers::StreamPointer;

const char* BlobView::WordOf(As as) {
  switch (as) {
    case As::kLayer:
      return "Layer";
    case As::kConfig:
      return "Config";
    case As::kManifest:
      return "Manifest";
  }
  return "";
}

void BlobView::AddUsers(const Reading& reading, const ImagePointer& image, NameId blob,
                        std::vector<User>& users) {
  if (!image->usable()) return;
  const auto layers = image->layer_names();
  const auto layer = std::find(layers.begin(), layers.end(), blob);
  if (layer != layers.end()) {
    const auto found = image->layer(static_cast<size_t>(layer - layers.begin()));
    users.push_back({image, As::kLayer, found.media_type, found.size});
  }
  if (image->config() == blob)
    users.push_back({image, As::kConfig, ConfigTypeOf(reading.known, *image), 0});
  if (image->name() == blob) users.push_back({image, As::kManifest, image->media_type(), 0});
}

base::StatusOr<BlobView> BlobView::Of(const Reading& reading, std::string_view digest) {
  const NameId blob = reading.names.Find(digest);
  std::vector<User> users;
  layers::Pulse pulse(reading.stop);
  if (blob != layers::kNoName) {
    reading.records.images.ForEach([&](const ImagePointer& image) {
      if (!pulse.IsOver()) AddUsers(reading, image, blob, users);
    });
  }
  if (reading.stop.stop_requested()) return base::CancelledError("nobody waits any more");
  if (users.empty()) return base::NotFoundError("no image refers to such a blob");
  std::sort(users.begin(), users.end(), [&](const User& a, const User& b) {
    const int order = reading.names.Compare(a.image->name(), b.image->name());
    return order != 0 ? order < 0 : a.as < b.as;
  });
  std::vector<NameId> images;
  images.reserve(users.size());
  for (const User& user : users) images.push_back(user.image->name());
  STRATA_ASSIGN_OR_RETURN(Reach reach, Reach::Of(reading, images));
  return BlobView(blob, std::move(users), std::move(reach));
}

base::StatusOr<BlobView::Object> BlobView::Show(const Reading& reading,
                                                const Audience& audience) const {
  const SeenImages seen = reach_.SeenBy(audience);
  const auto images = std::ranges::count_if(
      users_, [&](const User& user) { return seen.contains(user.image->name()); });
  const auto streams = std::ranges::count_if(
      reach_.streams(), [&](const StreamPointer& stream) { return audience.Sees(*stream); });
  STRATA_RETURN_IF_ERROR(CheckUsers(reading, static_cast<size_t>(images + streams)));
  Object object;
  const User* best = nullptr;  // a layer, of which the size is known
  for (const User& user : users_) {
    if (!seen.contains(user.image->name())) continue;
    if (best == nullptr || user.as < best->as) best = &user;
    v1alpha1::BlobUser& shown = *object.add_images();
    shown.set_name(reading.Text(user.image->name()));
    shown.set_as(WordOf(user.as));
  }
  if (best == nullptr) return base::NotFoundError("it may not be seen");
  object.mutable_metadata()->set_name(reading.Text(name_));
  object.mutable_metadata()->set_resource_version(std::to_string(reading.records.revision));
  object.set_media_type(reading.Text(best->media_type));
  if (best->as == As::kLayer) object.set_size(best->size);
  for (const StreamPointer& stream : reach_.streams()) {
    if (!audience.Sees(*stream)) continue;
    v1alpha1::ImageStreamReference& shown = *object.add_streams();
    shown.set_namespace_(std::string(layers::NamespaceOf(*stream)));
    shown.set_name(std::string(layers::NameOf(*stream)));
  }
  return object;
}

}  // namespace strata::views
