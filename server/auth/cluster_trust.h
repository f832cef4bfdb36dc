// What a cluster says of whom to believe: its ConfigMap
// kube-system/extension-apiserver-authentication (k8s.io/apiserver
// pkg/server/options/authentication_dynamic_request_header.go).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/status.h"
#include "lib/base/string_map.h"
#include "lib/obs/log.h"
#include "server/auth/ca_pool.h"
#include "server/auth/request_header.h"
#include "server/kube/informer.h"

namespace strata::auth {

// Follows the ConfigMap. What can't be used, or isn't there, leaves the CAs that were there before
// (k8s.io/apiserver pkg/server/dynamiccertificates/configmap_cafile_content.go); until there is
// one, nobody is believed by it. As for its lifetime, it is an Informer.
class ClusterTrust {
 public:
  // What is set by it; null: by flags.
  struct Targets {
    std::shared_ptr<CaPool> client_cas;
    std::shared_ptr<CaPool> proxy_cas;
    RequestHeader* headers = nullptr;  // together with proxy_cas
    // Told both CAs in one PEM text, for the names that handshakes show.
    std::function<void(const std::string& pem)> ca_names;
  };
  ClusterTrust(kube::Api& api, Targets targets, const obs::Logger& log);

  void Start() { informer_.Start(); }
  bool synced() const { return informer_.synced(); }
  base::Status status() const { return informer_.status(); }

 private:
  base::Status Take(const kube::Informer::Objects& objects) const;

  const Targets targets_;
  kube::Informer informer_;
};

// The keys `requestheader-*` that hold lists. An error names the key.
base::StatusOr<RequestHeaderConfig> ReadRequestHeaderConfig(
    const base::StringMap<std::string>& data);

}  // namespace strata::auth
