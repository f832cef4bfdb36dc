// Whether a peer's certificates are to be trusted: as Go's crypto/x509 decides it with the options
// of k8s.io/apiserver and of Go's TLS clients, because that is what kube-apiserver and etcd do with
// the same files. OpenSSL decides otherwise: it doesn't take an intermediate CA for an anchor,
// looks at a leaf's keyUsage, believes that a certificate with its CA's name is self-signed,
// doesn't nest extended key usages, and parses what Go refuses.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/x509/certificate.h"
#include "lib/x509/pool.h"

namespace strata::x509 {

enum class Usage : uint8_t { kClient, kServer };

struct Options {
  Usage usage = Usage::kClient;
  std::string host;  // a server's, or its IP address; empty: any will do
  base::WallTime now{};
};

// Never empty; the peer's own first.
using Chain = std::vector<CertificatePtr>;

// DER, as TLS presents it. An error too for an RSA key of more than 8192 bits (crypto/tls
// checkKeySize), and if the peer has none with which TLS could be spoken.
base::StatusOr<Chain> ParseChain(std::span<const std::string> der);
// The same, as PEM.
base::StatusOr<Chain> ParseChain(std::string_view pem);

// Certificate.Verify: whether a chain of valid certificates leads from the first to one of `roots`.
// Intermediates may come in any order. At most 16 signatures are checked (Go: 100), each once. An
// error is one line that names the certificate at fault, why, and since or until when:
//   kUnauthenticated    signed by none of `roots`
//   kOutOfRange         expired, or not valid yet
//   kPermissionDenied   for another usage, name or policy, or not understood
// Thread-safe.
base::Status Verify(const Chain& chain, const Pool& roots, const Options& options);

}  // namespace strata::x509
