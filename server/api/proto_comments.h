// proto/image/image_v1.proto and what it imports, with their comments: a FileDescriptorSet that the
// build makes.
#pragma once

#include <string_view>

namespace strata::api {

extern const std::string_view kProtoComments;

}  // namespace strata::api
