#include "server/kube/config.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "codec/decode_json.h"
#include "codec/yaml.h"
#include "proto/k8s/client_config.pb.h"
#include "server/files/file_watcher.h"

namespace strata::kube {
namespace {

namespace api = ::k8s::io::client_go::tools::clientcmd::api::v1;

constexpr size_t kMaxFileBytes = 1 << 20;

base::StatusOr<api::Config> Parse(const std::string& path) {
  STRATA_ASSIGN_OR_RETURN(const std::string text, files::ReadFile(path, kMaxFileBytes));
  api::Config config;
  base::Status decoded = base::InvalidArgumentError("the file is empty");
  STRATA_RETURN_IF_ERROR(base::Annotate(
      codec::ForEachYamlDocument(text,
                                 [&](const codec::YamlDocument& document) {
                                   decoded = codec::DecodeJson(document.json, config).status();
                                   return false;
                                 }),
      path));
  STRATA_RETURN_IF_ERROR(base::Annotate(decoded, path));
  return config;
}

// The one of `list` that is called `name`; null if there is none.
template <typename List>
auto Find(const List& list, const std::string& name) -> decltype(&list[0]) {
  for (const auto& one : list) {
    if (one.name() == name) return &one;
  }
  return nullptr;
}

base::Status CheckUser(const std::string& name, const api::AuthInfo& user) {
  const auto refuse = [&](std::string_view what) {
    return base::UnimplementedError(fmt::format(
        "user \"{}\" has {}, which isn't supported: give it a client certificate, a token or a "
        "tokenFile",
        name, what));
  };
  if (user.has_exec()) return refuse("exec: a program that makes its credentials");
  if (user.has_auth_provider()) return refuse("an auth-provider");
  if (!user.impersonate().empty()) return refuse("act-as");
  const bool certificate =
      !user.client_certificate().empty() || !user.client_certificate_data().empty();
  const bool key = !user.client_key().empty() || !user.client_key_data().empty();
  if (certificate != key) {
    return base::InvalidArgumentError(fmt::format(
        "user \"{}\" has a client certificate without its key, or the other way round", name));
  }
  return base::OkStatus();
}

}  // namespace

base::StatusOr<Config> LoadKubeconfig(const std::string& path) {
  STRATA_ASSIGN_OR_RETURN(const api::Config file, Parse(path));
  const auto invalid = [&](const std::string& message) {
    return base::InvalidArgumentError(fmt::format("{}: {}", path, message));
  };
  if (file.current_context().empty()) return invalid("no current-context is set");
  const api::NamedContext* context = Find(file.contexts(), file.current_context());
  if (context == nullptr)
    return invalid(fmt::format("there is no context \"{}\"", file.current_context()));
  const std::string& cluster_name = context->context().cluster();
  const api::NamedCluster* cluster = Find(file.clusters(), cluster_name);
  if (cluster == nullptr) return invalid(fmt::format("there is no cluster \"{}\"", cluster_name));
  const api::Cluster& c = cluster->cluster();
  if (!c.server().starts_with("https://") && !c.server().starts_with("http://")) {
    return invalid(
        fmt::format("cluster \"{}\" has no server like https://HOST:6443", cluster_name));
  }
  if (!c.proxy_url().empty()) return invalid("proxy-url isn't supported");
  api::AuthInfo user;
  if (!context->context().user().empty()) {
    const api::NamedAuthInfo* named = Find(file.users(), context->context().user());
    if (named == nullptr)
      return invalid(fmt::format("there is no user \"{}\"", context->context().user()));
    user = named->user();
    STRATA_RETURN_IF_ERROR(base::Annotate(CheckUser(named->name(), user), path));
  }
  // Data is preferred to a file, a tokenFile to a token (client-go clientcmd/client_config.go).
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const auto file_of = [&](const std::string& name, const std::string& data) {
    return name.empty() || !data.empty() ? std::string() : (folder / name).string();
  };
  Config config;
  config.server = c.server();
  while (config.server.ends_with('/')) config.server.pop_back();
  config.tls_server_name = c.tls_server_name();
  config.insecure_skip_tls_verify = c.insecure_skip_tls_verify();
  config.ca_pem = c.certificate_authority_data();
  config.ca_file = file_of(c.certificate_authority(), c.certificate_authority_data());
  config.cert_pem = user.client_certificate_data();
  config.cert_file = file_of(user.client_certificate(), user.client_certificate_data());
  config.key_pem = user.client_key_data();
  config.key_file = file_of(user.client_key(), user.client_key_data());
  config.token_file = file_of(user.token_file(), "");
  config.token = config.token_file.empty() ? user.token() : "";
  config.username = user.username();
  config.password = user.password();
  return config;
}

base::StatusOr<Config> InClusterConfig(const std::string& folder) {
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || port == nullptr || *host == '\0' || *port == '\0') {
    return base::NotFoundError(
        "this isn't a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT aren't set");
  }
  const bool ipv6 = std::string_view(host).find(':') != std::string_view::npos;
  Config config;
  config.server =
      ipv6 ? fmt::format("https://[{}]:{}", host, port) : fmt::format("https://{}:{}", host, port);
  config.ca_file = folder + "/ca.crt";
  config.token_file = folder + "/token";
  for (const std::string& file : {config.ca_file, config.token_file}) {
    STRATA_RETURN_IF_ERROR(files::ReadFile(file, kMaxFileBytes).status());
  }
  return config;
}

}  // namespace strata::kube
