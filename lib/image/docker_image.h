// What an image says of its configuration: dockerImageMetadata.
#pragma once

#include "lib/base/status.h"
#include "proto/image/image_v1.pb.h"

namespace strata::image {

namespace v1 = ::github::com::openshift::api::image::v1;

// Decodes it and encodes it again, as the reference does on the way out (openshift-apiserver
// pkg/image/apis/image/v1/conversion.go Convert_image_Image_To_v1_Image): read in the version that
// it says it has, shown in dockerImageMetadataVersion's; what that version doesn't know is gone,
// and what isn't there is filled in. An error says what is wrong with it.
base::Status NormalizeMetadata(v1::Image& image);

}  // namespace strata::image
