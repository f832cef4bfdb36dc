// Any Accept header: negotiation must return, and what it accepts plainly it must also accept with
// transforms.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/wire/negotiate.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata::wire;
  const Preference preference{{reinterpret_cast<const char*>(data), size}, "curl/7", {}};
  const Negotiation result = Negotiate(preference);
  if (result.refusal == Refusal::kConversion && NegotiatePlain(preference)) std::abort();
  return 0;
}
