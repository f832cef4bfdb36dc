// Compressed answers (k8s.io/apiserver pkg/endpoints/handlers/responsewriters/writers.go).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace strata::wire {

// Bodies of more bytes than this are compressed for clients that accept it.
inline constexpr size_t kGzipThreshold = 128 * 1024;

// Whether Accept-Encoding has the bare token `gzip`: with a parameter it doesn't count, as in the
// reference.
bool AcceptsGzip(std::string_view accept_encoding);

// RFC 1952, level 1. The same bytes for the same input.
std::string Gzip(std::string_view bytes);

}  // namespace strata::wire
