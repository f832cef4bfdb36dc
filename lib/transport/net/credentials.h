// What the server shows in TLS, and what it asks for: certificate, key, the names of acceptable
// client CAs. Read again when their files change; connections keep what they began with.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/obs/metrics.h"
#include "lib/transport/files/file_watcher.h"

namespace strata::net {

// A pair for clients that ask for its names (--tls-sni-cert-key).
struct NamedPair {
  std::string cert_file, key_file;
  std::vector<std::string> names = {};  // empty: those of the certificate
};

// A CA file, and the flag that names it.
struct ClientCa {
  std::string flag, file;
};

struct TlsOptions {
  // PEM, the chain leaf first. Both or neither; neither: a self-signed pair is kept in `cert_dir`.
  std::string cert_file, key_file;
  std::string cert_dir = "apiserver.local.config/certificates";
  std::vector<NamedPair> named_pairs;
  // PEM. Whose certificates clients are told to present; any other that Go parses, or none, is
  // accepted as well: to verify is the authenticators' task (apiserver.md §2.1).
  std::vector<ClientCa> client_cas;
  // "VersionTLS12" or "VersionTLS13", as --tls-min-version.
  std::string min_version = "VersionTLS12";
  // IANA names of TLS 1.2 suites, as --tls-cipher-suites; empty: all that are AEAD with forward
  // secrecy. TLS 1.3's can't be chosen, as in Go.
  std::vector<std::string> cipher_suites;
  bool http2 = true;  // offered in ALPN
};

// Thread-safe. There is no resumption: a resumed session has lost the client's chain, and Go's
// clients don't ask for it.
class Credentials {
 public:
  // `watcher` reloads from now on, also should it outlive this.
  static base::StatusOr<std::unique_ptr<Credentials>> Load(const TlsOptions& options,
                                                           files::FileWatcher& watcher,
                                                           const base::Clock& clock,
                                                           obs::Metrics& metrics);

  // More CAs whose certificates clients are told to present, as a cluster names them. An error
  // leaves everything as it is.
  base::Status SetClusterCas(const std::string& pem);

  // For the next handshake.
  std::shared_ptr<SSL_CTX> context() const;

 private:
  struct State;

  explicit Credentials(std::shared_ptr<State> state) : state_(std::move(state)) {}

  const std::shared_ptr<State> state_;  // shared with the loaders
};

}  // namespace strata::net
