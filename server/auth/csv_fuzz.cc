// Any bytes as a token file's CSV: parsing must return.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/auth/csv.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto rows = strata::auth::ParseCsv({reinterpret_cast<const char*>(data), size});
  if (!rows.ok()) return 0;
  for (const auto& row : *rows) {
    if (row.fields.empty()) std::abort();
  }
  return 0;
}
