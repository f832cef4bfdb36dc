// How to reach kube-apiserver, and as whom: a kubeconfig file, or what a pod finds in itself.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/status.h"

namespace strata::kube {

// Of a pair `x_file`, `x_pem` at most one is set. Files are read again when they change.
struct Config {
  std::string server;  // https://HOST:PORT[/PATH], without a slash at its end
  std::string tls_server_name;
  bool insecure_skip_tls_verify = false;
  std::string ca_file, ca_pem;  // both empty: the system's CAs
  std::string cert_file, cert_pem;
  std::string key_file, key_pem;
  std::string token;       // bearer token
  std::string token_file;  // holds one
  std::string username, password;
};

// The current context of a kubeconfig file; relative paths in it are relative to its folder
// (client-go clientcmd/loader.go). The error names what is missing, or what this client can't do:
// credentials made by a program (`exec`, `auth-provider`), impersonation (`as`).
base::StatusOr<Config> LoadKubeconfig(const std::string& path);

// The token that a file holds, without the white space around it (client-go
// transport/token_source.go).
std::string_view TrimToken(std::string_view content);

// The service account that a pod has (client-go rest.InClusterConfig): KUBERNETES_SERVICE_HOST,
// KUBERNETES_SERVICE_PORT and the files of `folder`. kNotFound where this isn't a pod.
base::StatusOr<Config> InClusterConfig(
    const std::string& folder = "/var/run/secrets/kubernetes.io/serviceaccount");

}  // namespace strata::kube
