// Which names can stand in a path, and so in a key (k8s.io/apimachinery
// pkg/api/validation/path/name.go IsValidPathSegmentName).
#pragma once

#include <string>
#include <string_view>

namespace strata::image {

bool IsPathSegment(std::string_view name);

// Why it isn't one, in the library's words: "may not contain '/'"; empty if it is.
std::string PathSegmentProblem(std::string_view name);

}  // namespace strata::image
