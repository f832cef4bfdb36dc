// Whether a server's certificate is for the name that was dialled (Go crypto/x509 VerifyHostname).
#pragma once

#include <string_view>

#include "lib/base/status.h"
#include "lib/x509/certificate.h"

namespace strata::x509 {

// `host`: a name, or an IP address, which may be in brackets. The common name counts for nothing.
// The error says for which names the certificate is.
base::Status CheckHost(const Certificate& certificate, std::string_view host);

}  // namespace strata::x509
