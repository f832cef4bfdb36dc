// The TLS files of an etcd: CA, certificate and key of the flags, read again for each connection,
// so that replacing them is all that a rotation takes (etcd client/pkg/transport reads the pair at
// each handshake).
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "lib/x509/peer.h"
#include "lib/x509/pool.h"
#include "storage/client/client.h"

namespace strata::client {

struct OpensslFree {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};

// Who we are to an etcd that asks. Immutable.
struct Identity {
  std::vector<std::unique_ptr<X509, OpensslFree>> chain;  // the first with the key
  std::unique_ptr<EVP_PKEY, OpensslFree> key;
  std::string text;  // for messages: flag, file, whose certificate it is and until when
  int64_t ends = 0;  // seconds since 1970
};

// What connections that begin now have in common. Immutable.
struct Tls {
  // Of one handshake. The verdict on the host's certificate is there when it is over.
  struct Context {
    std::unique_ptr<SSL_CTX, OpensslFree> context;
    std::shared_ptr<const x509::PeerVerdict> verdict;
  };
  Context For(const std::string& host) const;

  std::shared_ptr<const x509::Pool> roots;
  std::string roots_from;                    // for messages: flag and file
  std::shared_ptr<const Identity> identity;  // null: none
};

// Thread-safe. A file that went bad, or a pair whose halves don't fit, as in the middle of a
// rotation, is logged once, and what was read before stays in use.
class TlsFiles {
 public:
  // The error names the flag and file.
  static base::StatusOr<std::unique_ptr<TlsFiles>> Load(const Options& options,
                                                        const obs::Logger& log,
                                                        obs::Metrics& metrics);

  // Looks at the files: where nothing has changed, three small reads.
  Tls Current() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // Files that are taken over together.
  struct Unit {
    std::vector<std::string> contents;  // as they were read last
    base::Status parsed;                // what came of these
    base::Status reported;
  };

  TlsFiles(const Options& options, const obs::Logger& log, obs::Metrics& metrics);
  // Take over what the files hold if it is new and good.
  base::Status LookAtRoots() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  base::Status LookAtPair() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  base::Status TakeRoots(const std::string& pem) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  base::Status TakePair(const std::string& certificate, const std::string& key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Report(Unit& unit, const base::Status& verdict) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string ca_file_;               // empty: the system's, as they are at the start
  const std::string cert_file_, key_file_;  // empty: none
  const obs::Logger& log_;
  std::optional<obs::Gauge> ends_;  // of the client certificate, if there is one

  absl::Mutex mu_;
  Unit ca_ ABSL_GUARDED_BY(mu_), pair_ ABSL_GUARDED_BY(mu_);
  Tls now_ ABSL_GUARDED_BY(mu_);
};

}  // namespace strata::client
