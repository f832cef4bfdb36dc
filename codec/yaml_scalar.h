// What a plain scalar means to Go's yaml.v2 (resolve.go): the reader turns it into JSON by this, and the writer quotes a
// string that would mean something else.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace strata::codec {

// The JSON token (null, true, 12, 1.5) that the plain scalar `text` stands for; nothing if it is a string.
std::optional<std::string> ResolvePlain(std::string_view text);

}  // namespace strata::codec
