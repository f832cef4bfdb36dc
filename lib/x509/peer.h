// Verify in the place of OpenSSL's own judgement.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>

#include "lib/base/status.h"
#include "lib/x509/pool.h"
#include "lib/x509/verify.h"

namespace strata::x509 {

// What the peer of a handshake presents, within a callback of SSL_CTX_set_cert_verify_callback. An
// error, and the handshake's end in Go, for what ParseChain refuses, and for a key of its own with
// which Go verifies nothing (PublicKey::key): OpenSSL would, and an exponent of thousands of bits
// takes it ten milliseconds.
base::StatusOr<Chain> PresentedChain(X509_STORE_CTX* context);

// Whom to trust at the other end of a connection.
struct PeerRules {
  std::shared_ptr<const Pool> roots;
  Usage usage = Usage::kServer;
  std::string host;  // as Options::host
};

// What the last handshake of a context found; ok before there was one. Set by its thread.
struct PeerVerdict {
  base::Status status;
};

// From now on handshakes of `context` judge certificates by `rules`, at the system's time, and
// nothing else; they fail without one. The alert says what Go's would. A resumed session isn't
// judged: don't resume.
std::shared_ptr<const PeerVerdict> JudgePeers(SSL_CTX* context, PeerRules rules);

}  // namespace strata::x509
