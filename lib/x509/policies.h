// Certificate policies, where a CA requires them: RFC 5280 §6.1 as RFC 9618 mends it (Go
// crypto/x509 verify.go policiesValid, any policy being acceptable).
#pragma once

#include <span>

#include "lib/x509/certificate.h"

namespace strata::x509 {

// `chain`: leaf first, the anchor last.
bool PoliciesAreValid(std::span<const Certificate* const> chain);

}  // namespace strata::x509
