// Certificates, CA files and what is judged of them, as a peer or a file may have them.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/x509/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  // A chain of two, if there is a length in front; each also trusted.
  const size_t first = size < 2 ? 0 : size_t{data[0]} << 8 | data[1];
  std::vector<std::string> der = {std::string(input.substr(size < 2 ? size : 2, first))};
  if (size >= 2 && first + 2 < size) der.emplace_back(input.substr(2 + first));
  x509::Pool roots;
  if (const auto last = x509::Certificate::Parse(der.back()); last.ok()) roots.Add(*last);
  if (const auto chain = x509::ParseChain(der); chain.ok()) {
    const base::WallTime now(std::chrono::seconds(1'795'705'200));
    (void)x509::Verify(*chain, roots, {x509::Usage::kServer, "etcd.example.com", now});
    (void)x509::Verify(*chain, x509::Pool(), {x509::Usage::kClient, "", now});
  }
  (void)x509::Pool::ParseUsable(input);
  return 0;
}
