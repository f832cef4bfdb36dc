// nghttp2's bytes as text, and text as its header fields. Private to the sessions.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/transport/http/http2_field.h"

namespace strata::http {

inline std::string_view View(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Refers to both: they stay until the frame is sent.
inline nghttp2_nv Field(std::string_view name, std::string_view value, uint8_t flags = 0) {
  return Http2Field(
      name, value,
      static_cast<uint8_t>(flags | NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE));
}

}  // namespace strata::http
