// Name constraints: for which names a CA may sign (RFC 5280 §4.2.1.10; Go crypto/x509
// constraints.go).
#pragma once

#include <span>

#include "lib/base/status.h"
#include "lib/x509/certificate.h"

namespace strata::x509 {

// Each certificate's alternative names against the constraints of all above it. `chain`: leaf
// first. Costs their product, and is refused beyond a quarter of a million comparisons.
base::Status CheckConstraints(std::span<const Certificate* const> chain);

}  // namespace strata::x509
