// The extensions of a certificate (Go crypto/x509 parser.go processExtensions).
#pragma once

#include <string_view>

#include "lib/base/status.h"
#include "lib/x509/certificate.h"

namespace strata::x509 {

// `der`: the contents of [3]. Sets what they say in `certificate`, views of `der`.
base::Status ReadExtensions(std::string_view der, Certificate& certificate);

}  // namespace strata::x509
