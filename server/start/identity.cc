#include "server/start/identity.h"

#include <string>
#include <utility>

#include "server/auth/client_certificate.h"
#include "server/auth/service_account_token.h"
#include "server/auth/subject_access_review.h"
#include "server/auth/token_file.h"
#include "server/auth/token_review.h"
#include "server/start/kube.h"

namespace strata::start {
namespace {

base::Status FollowCas(const std::string& file, std::string_view name,
                       const std::shared_ptr<auth::CaPool>& pool, files::FileWatcher& watcher) {
  return watcher.Watch(name, {file}, [pool, file](const std::vector<std::string>& contents) {
    return base::Annotate(pool->Set(contents[0]), file);
  });
}

}  // namespace

// What both halves are made of.
struct Identity::Parts {
  const Flags& flags;
  files::FileWatcher& watcher;
  net::Credentials& credentials;
  const base::Clock& clock;
  const obs::Logger& log;
  obs::Metrics& metrics;
};

base::StatusOr<std::unique_ptr<Identity>> Identity::Create(
    const Flags& flags, files::FileWatcher& watcher, net::Credentials& credentials,
    const base::Clock& clock, const obs::Logger& log, obs::Metrics& metrics) {
  std::unique_ptr<Identity> identity(new Identity());
  STRATA_ASSIGN_OR_RETURN(identity->authentication_api_,
                          ConnectKube(flags, flags.authentication_kubeconfig,
                                      "--authentication-kubeconfig", "authentication", metrics));
  if (flags.authorization_kubeconfig == flags.authentication_kubeconfig) {
    identity->authorization_api_ = identity->authentication_api_;
  } else {
    STRATA_ASSIGN_OR_RETURN(identity->authorization_api_,
                            ConnectKube(flags, flags.authorization_kubeconfig,
                                        "--authorization-kubeconfig", "authorization", metrics));
  }
  const Parts parts{flags, watcher, credentials, clock, log, metrics};
  STRATA_RETURN_IF_ERROR(identity->MakeAuthenticator(parts));
  STRATA_RETURN_IF_ERROR(identity->MakeAuthorizer(parts));
  return identity;
}

base::Status Identity::MakeAuthenticator(const Parts& parts) {
  const Flags& flags = parts.flags;
  client_cas_ = std::make_shared<auth::CaPool>(parts.clock);
  proxy_cas_ = std::make_shared<auth::CaPool>(parts.clock);
  auto header = std::make_unique<auth::RequestHeader>(proxy_cas_, flags.request_header);
  proxies_ = header.get();
  const bool client_ca_given = !flags.client_ca_file.empty();
  const bool proxy_ca_given = !flags.requestheader_client_ca_file.empty();
  if (client_ca_given) {
    STRATA_RETURN_IF_ERROR(base::Annotate(
        FollowCas(flags.client_ca_file, "client-ca-file", client_cas_, parts.watcher),
        "--client-ca-file"));
  }
  if (proxy_ca_given) {
    STRATA_RETURN_IF_ERROR(
        base::Annotate(FollowCas(flags.requestheader_client_ca_file, "requestheader-client-ca-file",
                                 proxy_cas_, parts.watcher),
                       "--requestheader-client-ca-file"));
  }
  if (authentication_api_ != nullptr && !flags.authentication_skip_lookup &&
      !(client_ca_given && proxy_ca_given)) {
    auth::ClusterTrust::Targets targets;
    if (!client_ca_given) targets.client_cas = client_cas_;
    if (!proxy_ca_given) {
      targets.proxy_cas = proxy_cas_;
      targets.headers = header.get();
    }
    targets.ca_names = [&credentials = parts.credentials, &log = parts.log](const auto& pem) {
      if (const base::Status status = credentials.SetClusterCas(pem); !status.ok())
        log.Warning("Handshakes don't name the cluster's CAs", {{"err", status}});
    };
    trust_ =
        std::make_unique<auth::ClusterTrust>(*authentication_api_, std::move(targets), parts.log);
    trust_must_come_ = !flags.authentication_tolerate_lookup_failure;
  }

  // k8s.io/apiserver authenticatorfactory/delegating.go, with kube-apiserver's own kinds of tokens
  // between.
  std::vector<std::unique_ptr<auth::Authenticator>> chain;
  chain.push_back(std::move(header));
  chain.push_back(
      std::make_unique<auth::ClientCertificate>(client_cas_, parts.clock, parts.metrics));
  if (!flags.token_auth_file.empty()) {
    auto tokens = auth::TokenFile::Open(flags.token_auth_file, parts.watcher, parts.log);
    if (!tokens.ok()) return base::Annotate(tokens.status(), "--token-auth-file");
    chain.push_back(*std::move(tokens));
  }
  if (!flags.service_account.issuers.empty()) {
    auto accounts = auth::ServiceAccountToken::Open(flags.service_account, parts.watcher,
                                                    parts.clock, parts.metrics);
    if (!accounts.ok()) {
      const bool both =
          !flags.service_account.key_files.empty() && !flags.service_account.jwks_files.empty();
      const bool jwks = flags.service_account.key_files.empty();
      return base::Annotate(accounts.status(),
                            both   ? "--service-account-key-file, --service-account-jwks-file"
                            : jwks ? "--service-account-jwks-file"
                                   : "--service-account-key-file");
    }
    chain.push_back(*std::move(accounts));
  }
  if (authentication_api_ != nullptr) {
    chain.push_back(std::make_unique<auth::TokenReview>(*authentication_api_, flags.token_review,
                                                        parts.clock, parts.metrics));
  }
  authenticator_ =
      std::make_unique<auth::AuthenticatorChain>(std::move(chain), flags.anonymous_auth);
  return base::OkStatus();
}

base::Status Identity::MakeAuthorizer(const Parts& parts) {
  const Flags& flags = parts.flags;
  std::vector<std::string> modes = flags.authorization_modes;
  if (modes.empty()) modes = {authorization_api_ == nullptr ? "RBAC" : "Webhook"};
  std::vector<std::unique_ptr<auth::Authorizer>> authorizers;
  for (const std::string& mode : modes) {
    if (mode == "AlwaysAllow") {
      authorizers.push_back(std::make_unique<auth::AlwaysAllow>());
      continue;
    }
    const bool cluster = mode == "Webhook" || flags.rbac_source == "cluster";
    if (cluster && authorization_api_ == nullptr) {
      return base::InvalidArgumentError(
          "--authorization-mode=Webhook and --rbac-source=cluster ask kube-apiserver: give "
          "--kubeconfig where this is no pod");
    }
    if (mode == "Webhook") {
      authorizers.push_back(std::make_unique<auth::SubjectAccessReview>(
          *authorization_api_, flags.subject_access_review, parts.clock, parts.metrics));
      continue;
    }
    auto rbac = std::make_unique<auth::Rbac>();
    if (cluster) {
      cluster_rbac_ = std::make_unique<auth::ClusterRbac>(*authorization_api_, *rbac, parts.log);
    } else {
      STRATA_RETURN_IF_ERROR(
          base::Annotate(rbac->Follow(flags.rbac_files, parts.watcher), "--rbac-file"));
    }
    authorizers.push_back(std::move(rbac));
  }
  authorizer_ =
      std::make_unique<auth::AuthorizerChain>(flags.always_allow_paths, std::move(authorizers));
  return base::OkStatus();
}

net::Rank Identity::RankOf(const std::vector<std::string>& chain) const {
  if (proxies_->IsProxy(chain)) return net::Rank::kProxy;
  const auto verdict = client_cas_->Verify(chain);
  return verdict != nullptr && verdict->error.empty() ? net::Rank::kClient : net::Rank::kStranger;
}

void Identity::AddHealthChecks(endpoints::Health& health) const {
  const auto arrived = [](const auto& source) {
    return source.synced() ? base::OkStatus() : source.status();
  };
  if (trust_ != nullptr && trust_must_come_) {
    health.Add("authentication-config", endpoints::Health::Scope::kReadiness,
               [this, arrived] { return arrived(*trust_); });
  }
  if (cluster_rbac_ != nullptr) {
    health.Add("cluster-rbac", endpoints::Health::Scope::kReadiness,
               [this, arrived] { return arrived(*cluster_rbac_); });
  }
}

void Identity::Start() {
  if (trust_ != nullptr) trust_->Start();
  if (cluster_rbac_ != nullptr) cluster_rbac_->Start();
}

void Identity::Stop() {
  if (authentication_api_ != nullptr) authentication_api_->Stop();
  if (authorization_api_ != nullptr) authorization_api_->Stop();
}

}  // namespace strata::start
