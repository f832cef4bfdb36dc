// Who may ask what: the authenticators and authorizers that the flags choose, and what they need of
// kube-apiserver.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "lib/transport/files/file_watcher.h"
#include "lib/transport/net/credentials.h"
#include "lib/transport/net/protocol.h"
#include "server/auth/authenticator.h"
#include "server/auth/authorizer.h"
#include "server/auth/cluster_rbac.h"
#include "server/auth/cluster_trust.h"
#include "server/auth/rbac.h"
#include "server/auth/request_header.h"
#include "server/endpoints/health.h"
#include "server/kube/client.h"
#include "server/start/flags.h"

namespace strata::start {

// Made and started by one thread; authenticator() and authorizer() are for all.
class Identity {
 public:
  // An error names the flag. `credentials` are told whose certificates to ask clients for.
  static base::StatusOr<std::unique_ptr<Identity>> Create(
      const Flags& flags, files::FileWatcher& watcher, net::Credentials& credentials,
      const base::Clock& clock, const obs::Logger& log, obs::Metrics& metrics);
  ~Identity() { Stop(); }

  const auth::Authenticator& authenticator() const { return *authenticator_; }
  const auth::Authorizer& authorizer() const { return *authorizer_; }

  // Whose certificate `chain` (DER, leaf first) is, as far as it is believed. Thread-safe; asked
  // when a connection opens.
  net::Rank RankOf(const std::vector<std::string>& chain) const;

  // Readiness: that what comes from the cluster has come.
  void AddHealthChecks(endpoints::Health& health) const;

  // Begins to follow what the cluster says.
  void Start();
  // Ends every question to kube-apiserver; whoever waits is told so.
  void Stop();

 private:
  Identity() = default;
  struct Parts;
  base::Status MakeAuthenticator(const Parts& parts);
  base::Status MakeAuthorizer(const Parts& parts);

  // Of authentication and of authorization; the same where both have one configuration. Null: there
  // is no kube-apiserver.
  std::shared_ptr<kube::Client> authentication_api_, authorization_api_;
  std::shared_ptr<auth::CaPool> client_cas_, proxy_cas_;
  std::unique_ptr<auth::Authenticator> authenticator_;
  const auth::RequestHeader* proxies_ = nullptr;  // in authenticator_
  std::unique_ptr<auth::Authorizer> authorizer_;
  std::unique_ptr<auth::ClusterTrust> trust_;
  std::unique_ptr<auth::ClusterRbac> cluster_rbac_;
  bool trust_must_come_ = true;
};

}  // namespace strata::start
