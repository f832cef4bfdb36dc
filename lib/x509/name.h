// Distinguished names, as Go's crypto/x509 reads them (parser.go parseName).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace strata::x509 {

struct Name {
  std::string common_name;                 // the last one; empty: none
  std::vector<std::string> organizations;  // in their order
  std::string text;                        // for messages: "CN=alice,O=devs", the last part first

  // `der`: the whole RDNSequence.
  static base::StatusOr<Name> Parse(std::string_view der);
};

}  // namespace strata::x509
