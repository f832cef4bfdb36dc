// Which header fields concern one connection and not the request, and how a header's bytes count.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string_view>

#include "lib/transport/http/message.h"

namespace strata::http {

// RFC 9113 §6.5.2's measure of a field is its name, its value and this; both protocols refuse the
// same request.
inline constexpr size_t kHeaderOverhead = 32;

// What a table of so many headers takes beyond that: it doubles when it grows.
constexpr size_t TableBytes(size_t headers) {
  return headers * (2 * sizeof(Header) - kHeaderOverhead);
}

// RFC 9110 §7.6.1: about this connection, not the request; and what frames or routes it. `name` is
// in lower case.
inline bool IsOfOneHop(std::string_view name) {
  static constexpr std::string_view kNames[] = {"connection", "content-length",
                                                "expect",     "host",
                                                "keep-alive", "te",
                                                "trailer",    "transfer-encoding",
                                                "upgrade",    "proxy-connection"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

}  // namespace strata::http
