// Go's strconv.Quote, which %q prints names with: most messages of the API quote something that a
// client chose.
#pragma once

#include <string>
#include <string_view>

namespace strata::api {

// Bytes that aren't UTF-8 become \x.., characters that don't print \u.... Code points that no
// version of Unicode has assigned are printed, where Go escapes those that its own version doesn't
// know.
std::string Quote(std::string_view text);

}  // namespace strata::api
