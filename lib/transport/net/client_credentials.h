// The TLS files of a client: CA, certificate and key, read again for each connection, so that
// replacing them is all that a rotation takes (etcd client/pkg/transport reads the pair at each
// handshake).
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <openssl/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "lib/x509/key_pair.h"
#include "lib/x509/peer.h"
#include "lib/x509/pool.h"

namespace strata::net {

// An empty path: none.
struct NamedFile {
  std::string flag, path;
};

struct ClientTlsOptions {
  std::string server{};            // what it is, for messages: "etcd"
  std::string protocol{};          // of ALPN (RFC 7301), which the server has to take
  NamedFile ca{};                  // PEM; none: the system's CAs, as they are at the start
  NamedFile certificate{}, key{};  // PEM; both or none
};

// Who we are to a server that asks. Immutable.
struct ClientIdentity {
  x509::KeyPair pair;
  std::string text;  // for messages: flag, file, whose certificate it is and until when
  int64_t ends = 0;  // seconds since 1970
};

// What connections that begin now have in common. Immutable.
struct ClientTls {
  // Of one handshake. The verdict on the host's certificate is there when it is over.
  struct Context {
    std::shared_ptr<SSL_CTX> context;
    std::shared_ptr<const x509::PeerVerdict> verdict;
  };
  Context For(const std::string& host) const;

  std::shared_ptr<const ClientTlsOptions> options;
  std::shared_ptr<const x509::Pool> roots;
  std::string roots_from;                          // for messages: flag and file
  std::shared_ptr<const ClientIdentity> identity;  // null: none
};

// Thread-safe. A file that went bad, or a pair whose halves don't fit, as in the middle of a
// rotation, is logged once, and what was read before stays in use.
class ClientCredentials {
 public:
  // The error names the flag and file. `ends` is told when the certificate ends, in seconds since
  // 1970; none if there is no certificate.
  static base::StatusOr<std::unique_ptr<ClientCredentials>> Load(ClientTlsOptions options,
                                                                 const obs::Logger& log,
                                                                 std::optional<obs::Gauge> ends);

  // Looks at the files: where nothing has changed, three small reads.
  ClientTls Current() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Files that are taken over together.
  struct Unit {
    std::vector<std::string> contents;  // as they were read last
    base::Status parsed;                // what came of these
    base::Status reported;
  };

  ClientCredentials(ClientTlsOptions options, const obs::Logger& log,
                    std::optional<obs::Gauge> ends);
  // Take over what the files hold if it is new and good.
  base::Status LookAtRoots() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  base::Status LookAtPair() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  base::Status TakeRoots(const std::string& pem) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  base::Status TakePair(const std::string& certificate, const std::string& key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Report(Unit& unit, const base::Status& verdict) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::shared_ptr<const ClientTlsOptions> options_;
  const obs::Logger& log_;
  std::optional<obs::Gauge> ends_;

  absl::Mutex mu_;
  Unit ca_ ABSL_GUARDED_BY(mu_), pair_ ABSL_GUARDED_BY(mu_);
  ClientTls now_ ABSL_GUARDED_BY(mu_);
};

}  // namespace strata::net
