// Any bytes as what a TLS client sends, cut as their first byte says: the verdict is that of the
// whole.
#include "lib/transport/net/hello_bound.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view sent(reinterpret_cast<const char*>(data + 1), size - 1);
  const size_t piece = 1 + data[0] % 16;
  strata::net::HelloBound whole, cut;
  const bool taken = whole.Take(sent);
  size_t from = 0;
  while (from < sent.size() && cut.Take(sent.substr(from, piece))) from += piece;
  if ((from >= sent.size()) != taken || (taken && cut.begun() != whole.begun())) std::abort();
  return 0;
}
