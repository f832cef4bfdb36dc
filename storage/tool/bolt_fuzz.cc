// Whatever a file holds, reading it ends, and stays within it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "storage/tool/bolt.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  const auto bolt = strata::tool::Bolt::Open(file);
  if (!bolt.ok()) return 0;
  for (const char* bucket : {"key", "lease", "meta", "none"}) {
    (void)bolt->ForEach(bucket, [&](std::string_view key, std::string_view value) {
      const auto inside = [&](std::string_view bytes) {
        return bytes.data() >= file.data() &&
               bytes.data() + bytes.size() <= file.data() + file.size();
      };
      if (!inside(key) || !inside(value)) std::abort();
      return strata::base::OkStatus();
    });
  }
  return 0;
}
