// Any method and target: parsing must return, and a resource request always names a version.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "lib/base/duration.h"
#include "server/api/request_info.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const char* method : {"GET", "DELETE", "X"}) {
    const auto info = strata::api::ParseRequestInfo(method, text);
    if (!info) continue;
    if (info->is_resource && info->parts.size() < 3) std::abort();
    (void)strata::base::ParseDuration(info->query.Get("timeout"));
  }
  return 0;
}
