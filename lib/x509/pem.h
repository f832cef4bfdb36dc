// PEM as Go's encoding/pem reads it: what OpenSSL takes for a block differs in headers, in types
// ("TRUSTED CERTIFICATE") and in what is passed by when it is broken.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace strata::x509 {

struct PemBlock {
  std::string type;  // "CERTIFICATE"
  bool has_headers = false;
  std::string bytes;
};

// The next block of `rest`, which then begins behind it. Broken ones are passed by. Nothing: there
// is none.
std::optional<PemBlock> NextPemBlock(std::string_view& rest);

}  // namespace strata::x509
