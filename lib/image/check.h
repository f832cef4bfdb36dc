// What an Image or ImageStream must be before it is written, and what is filled in, as the API
// would on create.
//
// Filled in: API defaults (dockerImageMetadataVersion 1.0; a spec tag's referencePolicy Source and
// importMode Legacy; a stream's generation 1), and tags in the order of their names, as the
// reference stores them. Taken out: resourceVersion and selfLink, which belong to the store that
// the record came from. Unlike the API, a stream's status is kept: it is what the layers are made
// of.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "proto/image/image_v1.pb.h"

namespace strata::image {

namespace v1 = ::github::com::openshift::api::image::v1;

// Remarks about a record that is written nevertheless.
using Warnings = std::vector<std::string>;

// An error says what is wrong with the record, as a path and a reason: "metadata.name: must not be
// empty".
base::Status CheckAndFill(v1::Image& image, Warnings& warnings);

// A stream without a namespace gets `default_namespace`; if that is empty too, it is an error.
base::Status CheckAndFill(v1::ImageStream& stream, std::string_view default_namespace,
                          Warnings& warnings);

}  // namespace strata::image
