// Digests of documents, and their entity tags (k8s.io/apiserver
// pkg/endpoints/discovery/aggregated/etag.go).
#pragma once

#include <string>
#include <string_view>

namespace strata::api {

// SHA-256 of `text`, 32 bytes.
std::string Sha256(std::string_view text);

// SHA-512 of `document` in upper-case hexadecimal digits.
std::string Sha512Hex(std::string_view document);

// The same in quotes, for the header ETag.
std::string Etag(std::string_view document);

}  // namespace strata::api
