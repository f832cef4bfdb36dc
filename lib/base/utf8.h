// UTF-8 as Go's unicode/utf8 judges it (RFC 3629 §4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace strata::base {

// The length of the sequence at the start of `text`; 0 if the first byte doesn't begin a valid one.
size_t Utf8Length(std::string_view text);

// The code point of the valid sequence `sequence`.
uint32_t CodePoint(std::string_view sequence);

// Appends the sequence of `code`, which must be a code point and no surrogate.
void AppendUtf8(uint32_t code, std::string& out);

bool IsUtf8(std::string_view text);

// `text` with every byte that isn't part of a valid sequence replaced by U+FFFD.
std::string ToValidUtf8(std::string_view text);

}  // namespace strata::base
