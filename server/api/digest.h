// Entity tags of documents (k8s.io/apiserver pkg/endpoints/discovery/aggregated/etag.go).
#pragma once

#include <string>
#include <string_view>

namespace strata::api {

// SHA-512 of `document` in upper-case hexadecimal digits.
std::string Sha512Hex(std::string_view document);

// The same in quotes, for the header ETag.
std::string Etag(std::string_view document);

}  // namespace strata::api
