// What is wrong with a JSON text, in Go's words: they stand in errors of the API.
#pragma once

#include <string>
#include <string_view>

namespace strata::codec {

// encoding/json checkValid: "invalid character 'x' looking for beginning of value". Empty if `json`
// is one JSON value, with white space around it or not.
std::string JsonProblem(std::string_view json);

}  // namespace strata::codec
