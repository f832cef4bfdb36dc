// What a plain scalar means to Go's yaml.v2 (resolve.go): the reader turns it into JSON by this,
// and the writer quotes a string that would mean something else.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace strata::codec {

// The JSON token (null, true, 12, 1.5) that the plain scalar `text` stands for; nothing if it is a
// string.
std::optional<std::string> ResolvePlain(std::string_view text);

// Whether the string `text` must not stand plain, since go-yaml reads it as something else: what
// ResolvePlain finds, and times, infinities, integers of any size and numbers to the base of 60,
// which as JSON are strings.
bool NeedsQuotes(std::string_view text);

// The JSON token `literal` as go-yaml prints it: numbers with a fraction or an exponent in Go's
// shortest form.
std::string PlainLiteral(std::string_view literal);

}  // namespace strata::codec
