// Any bytes as a duration: an answer, or an error that can stand in a header or a log line.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "lib/base/duration.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = strata::base::ParseDuration(text);
  if (parsed.ok()) {
    // The sign is the text's.
    if ((parsed->count() < 0) && !text.starts_with('-')) std::abort();
    return 0;
  }
  for (const char c : strata::base::Message(parsed.status())) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x80) std::abort();
  }
  return 0;
}
