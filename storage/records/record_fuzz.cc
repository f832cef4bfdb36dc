// Any value under either kind of key: decoding must return a record or a reason.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "storage/records/record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata::records;
  for (const Kind kind : {Kind::kImage, Kind::kImageStream}) {
    const Change change =
        Decode({kind, "ns", "name"}, std::string(reinterpret_cast<const char*>(data), size), 1);
    if ((change.state == Change::State::kUnreadable) == change.reason.empty()) std::abort();
  }
  return 0;
}
