// The command line of strata-apiserver: kube-apiserver's names and defaults where the meaning is
// the same.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "lib/base/limit.h"
#include "lib/base/status.h"
#include "lib/image/presentation.h"
#include "lib/obs/memory.h"
#include "lib/transport/files/file_watcher.h"
#include "lib/transport/http/session.h"
#include "lib/transport/net/credentials.h"
#include "lib/transport/net/server.h"
#include "lib/transport/net/worker_pool.h"
#include "server/audit/log.h"
#include "server/auth/request_header.h"
#include "server/auth/service_account_token.h"
#include "server/auth/subject_access_review.h"
#include "server/auth/token_review.h"
#include "server/endpoints/layers.h"
#include "server/kube/client.h"
#include "server/kube_source/kube_source.h"
#include "server/layers/index.h"
#include "server/serving/chain.h"
#include "server/start/image_resources.h"
#include "server/start/view_resources.h"
#include "storage/client/client.h"
#include "storage/reflector/reflector.h"
#include "storage/replica/replica.h"

namespace CLI {
class App;
}  // namespace CLI

namespace strata::start {

struct Flags {
  // Serving.
  std::string bind_address = "0.0.0.0";
  int secure_port = 443;
  net::TlsOptions tls;
  std::vector<std::string> sni_pairs;  // as given
  net::ServerOptions server;
  http::SessionOptions session;
  base::Limit max_unread_response_bytes = 512 << 20;
  net::WorkerPoolOptions workers;                // build answers
  net::WorkerPoolOptions readers{.threads = 8};  // read objects
  // Make lists, and what of watches costs more than copying: a task for each that is open at most.
  net::WorkerPoolOptions listers{.threads = 4, .max_queued = 1 << 16};
  serving::Chain::Options chain;
  bool disable_http2 = false;
  std::chrono::milliseconds shutdown_delay{0};
  image::RegistryHostnames registry;
  obs::MemoryWatch::Options memory;
  files::FileWatcherOptions files;

  // Storage.
  static constexpr const char* kKubeSource = "kube";
  std::string source = "etcd";    // or kKubeSource
  std::string source_kubeconfig;  // empty: kubeconfig
  kube_source::KubeSource::Options kube_source;
  client::Options etcd;
  std::string etcd_prefix = "openshift.io";
  std::string etcd_password_file;
  std::string data_dir;
  reflector::Reflector::Options reflector;
  std::string serve = "all";
  replica::Replica::Options replica;
  layers::Index::Options index;
  ImageResources::Options objects;
  ViewResources::Options views;

  // Authentication and authorization.
  std::string client_ca_file;
  std::string token_auth_file;
  bool anonymous_auth = true;
  std::string requestheader_client_ca_file;
  auth::RequestHeaderConfig request_header;
  std::string kubeconfig;
  std::string authentication_kubeconfig, authorization_kubeconfig;  // empty: kubeconfig
  bool authentication_skip_lookup = false;
  bool authentication_tolerate_lookup_failure = false;
  auth::TokenReview::Options token_review;
  auth::ServiceAccountToken::Options service_account;
  std::vector<std::string> authorization_modes;  // empty: Webhook with a kube-apiserver, else RBAC
  std::string rbac_source = "files";
  std::vector<std::string> rbac_files;
  auth::SubjectAccessReview::Options subject_access_review;
  auth::ReviewCacheOptions review_cache;  // of tokens and of rights, each
  kube::Client::Options kube;
  std::vector<std::string> always_allow_paths = {"/healthz", "/readyz", "/livez"};

  // Secrets of a namespace, by the rights of this server.
  bool enable_secrets = false;
  std::string secrets_kubeconfig;  // empty: kubeconfig
  net::WorkerPoolOptions secret_askers{.threads = 4, .max_queued = 256};

  // Audit.
  std::string audit_policy_file;
  audit::Log::Options audit;  // without a path: none

  // Log.
  int verbosity = 0;
  std::string log_format = "text";
  size_t log_buffer_bytes = 8 << 20;
};

// Declares the flags, in groups; parsing `app` fills `flags`.
void AddFlags(CLI::App& app, Flags& flags);

// What the parser can't see: contradictions, and values that need a file. The error names the flag
// and says what to do.
base::Status Complete(Flags& flags);

}  // namespace strata::start
