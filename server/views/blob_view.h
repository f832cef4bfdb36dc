// blobs: what a blob is, and the images and image streams that use it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "proto/layers/v1alpha1/layers.pb.h"
#include "server/layers/reading.h"
#include "server/views/reach.h"

namespace strata::views {

namespace v1alpha1 = ::strata::dev::layers::v1alpha1;

// All that there is to tell of a blob, of which nobody is shown more than he may see.
class BlobView {
 public:
  using Object = v1alpha1::Blob;

  // kNotFound: no image refers to such a blob. kCancelled.
  static base::StatusOr<BlobView> Of(const layers::Reading& reading, std::string_view digest);

  // Of which it depends what is shown.
  std::vector<std::string> Namespaces() const { return reach_.Namespaces(); }

  // kNotFound: he may not know that there is such a blob. kDataLoss: it is too much.
  base::StatusOr<Object> Show(const layers::Reading& reading, const Audience& audience) const;

 private:
  enum class As { kLayer, kConfig, kManifest };
  // An image that refers to it.
  struct User {
    layers::ImagePointer image;
    As as;
    layers::NameId media_type;
    int64_t size;  // of a layer
  };
  static const char* WordOf(As as);
  static void AddUsers(const layers::Reading& reading, const layers::ImagePointer& image,
                       layers::NameId blob, std::vector<User>& users);

  BlobView(layers::NameId name, std::vector<User> users, Reach reach)
      : name_(name), users_(std::move(users)), reach_(std::move(reach)) {}

  // Kept known by the users.
  const layers::NameId name_;
  const std::vector<User> users_;  // sorted by the image's name
  const Reach reach_;              // of their images
};

}  // namespace strata::views
