// JSON as text: Go's way of escaping, compacting and indenting (encoding/json). Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace strata::codec {

// Appends `text` as a JSON string with its quotes, as encoding/json does with HTML escaping on:
// `<`, `>`, `&`, U+2028 and U+2029 as \uXXXX, each invalid byte as U+FFFD. One pass; runs of plain
// ASCII are copied whole.
void AppendJsonString(std::string_view text, std::string& out);

// Appends the JSON value `json` without the white space between its tokens, and escaped as above
// (json.Compact with escapeHTML, what Go does with a json.Marshaler's output). False, and `out` as
// it was, if `json` isn't one JSON value.
bool AppendCompact(std::string_view json, std::string& out);

// `json`, which must be compact and valid, as json.MarshalIndent(v, "", "  ") prints it; but what
// is nested over 64 levels deep stays compact, for each line has its levels' spaces. No line feed
// at the end.
std::string Indent(std::string_view json);

}  // namespace strata::codec
