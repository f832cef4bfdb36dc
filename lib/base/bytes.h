// Text forms of bytes.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace strata::base {

// Lower-case hexadecimal.
std::string ToHex(std::string_view bytes);

// RFC 4648 §4, with padding.
std::string ToBase64(std::string_view bytes);
// RFC 4648 §5, without padding.
std::string ToBase64Url(std::string_view bytes);

// RFC 4648 §4 as Go's StdEncoding reads it (\r, \n passed over, any spare bits); nothing: it's not.
std::optional<std::string> FromBase64(std::string_view text);

// `text` fit for a log line or a header: control characters and bytes that aren't UTF-8 become '?',
// and it is cut to `limit` bytes (with "…" appended when something was cut).
std::string Printable(std::string_view text, size_t limit);

}  // namespace strata::base
