// TLS client certificates as users: the common name is the user, each organization a group
// (k8s.io/apiserver pkg/authentication/request/x509).
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>
#include <absl/synchronization/mutex.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "server/auth/authenticator.h"
#include "server/files/file_watcher.h"

namespace strata::auth {

// A chain that doesn't verify against the CA, for client authentication and now, is an error; no
// certificate, no opinion. Results are kept for ten seconds, for a connection shows one certificate
// with all of its requests.
class ClientCertificate final : public Authenticator {
 public:
  // Reads the PEM file `ca_file` (--client-ca-file) now, and again whenever it changes.
  static base::StatusOr<std::unique_ptr<ClientCertificate>> Open(const std::string& ca_file,
                                                                 files::FileWatcher& watcher,
                                                                 const base::Clock& clock);
  ~ClientCertificate() override;

  void Authenticate(const http::Request& request, Done done) const override;

 private:
  using Digest = std::array<uint8_t, 32>;
  struct Roots;
  struct Known {
    Authentication result;
    base::MonotonicTime until;
  };
  struct State {
    mutable absl::Mutex mu;
    std::shared_ptr<const Roots> roots ABSL_GUARDED_BY(mu);
    mutable absl::flat_hash_map<Digest, Known> known ABSL_GUARDED_BY(mu);
  };

  ClientCertificate(std::shared_ptr<State> state, const base::Clock& clock);
  Authentication Verify(const std::vector<std::string>& chain, const Roots& roots) const;

  const std::shared_ptr<State> state_;  // shared with the watcher's loader
  const base::Clock& clock_;
};

}  // namespace strata::auth
