// The CAs that the system trusts, where Go's programs look for them.
#pragma once

#include "lib/base/status.h"
#include "lib/x509/pool.h"

namespace strata::x509 {

// Reads files: $SSL_CERT_FILE or the first that there is of the usual bundles, and all in
// $SSL_CERT_DIR or the usual folders (crypto/x509 root_unix.go). An error: there are none.
base::StatusOr<Pool> SystemRoots();

}  // namespace strata::x509
