// UTF-8 as Go's unicode/utf8 judges it (RFC 3629 §4).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace strata::codec {

// The length of the sequence at the start of `text`; 0 if the first byte doesn't begin a valid one.
size_t Utf8Length(std::string_view text);

bool IsUtf8(std::string_view text);

// `text` with every byte that isn't part of a valid sequence replaced by U+FFFD.
std::string ToValidUtf8(std::string_view text);

}  // namespace strata::codec
