// Go's strconv.ParseInt and ParseUint in base 10: what numbers in queries are read by.
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/base/status.h"

namespace strata::api {

// Errors have Go's text: strconv.ParseInt: parsing "abc": invalid syntax. One whose number is too
// large has StatusCode::kOutOfRange.
base::StatusOr<int64_t> ParseInt(std::string_view text);
base::StatusOr<uint64_t> ParseUint(std::string_view text);

// The revision that a resourceVersion names; 0 for "0" and for none. An error has the words of
// k8s.io/apiserver pkg/storage/api_object_versioner.go: resourceVersion: Invalid value: "abc": …
base::StatusOr<uint64_t> ParseResourceVersion(std::string_view text);

}  // namespace strata::api
