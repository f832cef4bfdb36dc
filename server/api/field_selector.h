// Field selectors, as far as request info needs them (k8s.io/apimachinery pkg/fields/selector.go).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace strata::api {

// The value that `selector` demands of `field`, by its first term `field=value` or `field==value`.
// Nothing if it demands none, or can't be parsed.
std::optional<std::string> RequiredValue(std::string_view selector, std::string_view field);

}  // namespace strata::api
