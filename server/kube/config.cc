#include "server/kube/config.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

#include "lib/base/file.h"
#include "lib/base/owned.h"
#include "lib/codec/decode_json.h"
#include "lib/codec/yaml.h"
#include "proto/k8s/client_config.pb.h"

namespace strata::kube {
namespace {

namespace api = ::k8s::io::client_go::tools::clientcmd::api::v1;

constexpr size_t kMaxFileBytes = 1 << 20;

base::Status Invalid(const std::string& message) {
  return base::InvalidArgumentError(message);
}

// `data` holds a PEM block, which is all that can be told of it here.
bool HoldsPem(std::string_view data) {
  return data.find("-----BEGIN ") != data.npos;
}

// An entry of the file; what it says is checked as client-go checks it (clientcmd/validation.go,
// transport/transport.go TLSConfigFor, transport/round_trippers.go HTTPWrappersForConfig).
class Entry {
 public:
  // `entry`: cluster "k".
  Entry(std::string entry, std::filesystem::path folder)
      : entry_(std::move(entry)), folder_(std::move(folder)) {}

  base::Status Refuse(std::string_view what) const {
    return Invalid(fmt::format("{}: {}", entry_, what));
  }

  // A member that names a file, relative to the kubeconfig's folder, and its other form, in which
  // the file's content stands in the kubeconfig. One of them may be given.
  base::Status Read(std::string_view member, const std::string& name, const std::string& data,
                    std::string& file, std::string& pem) const {
    if (!name.empty() && !data.empty()) {
      return Refuse(fmt::format("{0} and {0}-data are both given: take one of them out", member));
    }
    pem = data;
    if (!data.empty() && !HoldsPem(data))
      return Refuse(fmt::format("{}-data: that is the base64 of no PEM", member));
    if (name.empty()) return base::OkStatus();
    STRATA_ASSIGN_OR_RETURN(const std::string content, ReadFile(member, name, file));
    if (!HoldsPem(content)) return Refuse(fmt::format("{}: {}: that is no PEM", member, file));
    return base::OkStatus();
  }

  base::StatusOr<std::string> ReadFile(std::string_view member, const std::string& name,
                                       std::string& file) const {
    file = (folder_ / name).string();
    auto content = base::ReadFile(file, kMaxFileBytes);
    if (!content.ok())
      return base::Annotate(content.status(), fmt::format("{}: {}", entry_, member));
    return content;
  }

 private:
  const std::string entry_;
  const std::filesystem::path folder_;
};

base::Status Decode(std::string_view json, api::Config& config) {
  STRATA_ASSIGN_OR_RETURN(const codec::DecodedType type, codec::DecodeJson(json, config));
  if ((!type.kind.empty() && type.kind != "Config") ||
      (!type.api_version.empty() && type.api_version != "v1")) {
    return Invalid(fmt::format("kind Config of v1 is expected, not {} of {}",
                               type.kind.empty() ? "none" : type.kind,
                               type.api_version.empty() ? "none" : type.api_version));
  }
  return base::OkStatus();
}

base::StatusOr<api::Config> Parse(const std::string& path) {
  STRATA_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path, kMaxFileBytes));
  api::Config config;
  base::Status decoded = Invalid("the file is empty");
  STRATA_RETURN_IF_ERROR(
      base::Annotate(codec::ForEachYamlDocument(text,
                                                [&](const codec::YamlDocument& document) {
                                                  decoded = Decode(document.json, config);
                                                  return false;
                                                }),
                     path));
  STRATA_RETURN_IF_ERROR(base::Annotate(decoded, path));
  return config;
}

// The one of `list` that is called `name`. A name that stands twice is an error, as in client-go's
// clientcmd/api/v1/conversion.go.
template <typename List>
base::StatusOr<const typename List::value_type*> Find(const List& list, std::string_view kind,
                                                      const std::string& name) {
  const typename List::value_type* found = nullptr;
  for (const auto& one : list) {
    if (one.name() != name) continue;
    if (found != nullptr) return Invalid(fmt::format("{} \"{}\" stands there twice", kind, name));
    found = &one;
  }
  if (found == nullptr) return Invalid(fmt::format("there is no {} \"{}\"", kind, name));
  return found;
}

// A URL as libcurl will read it, its scheme in small letters. What would be lost or said to
// others with each error, a query or a password, may not be in it.
base::StatusOr<std::string> ReadServer(const std::string& server, const Entry& entry) {
  const base::Owned<CURLU, curl_url_cleanup> url(curl_url());
  const auto part = [&](CURLUPart which) -> std::string {
    char* text = nullptr;
    if (curl_url_get(url.get(), which, &text, 0) != CURLUE_OK) return "";
    const std::string copy = text;
    curl_free(text);
    return copy;
  };
  constexpr std::string_view kLike = "server: it must be like https://HOST:6443";
  if (const CURLUcode code = curl_url_set(url.get(), CURLUPART_URL, server.c_str(), 0);
      code != CURLUE_OK) {
    return entry.Refuse(server.empty() ? std::string(kLike)
                                       : fmt::format("{} ({})", kLike, curl_url_strerror(code)));
  }
  if (const std::string scheme = part(CURLUPART_SCHEME); scheme != "https" && scheme != "http")
    return entry.Refuse(kLike);
  if (!part(CURLUPART_USER).empty() || !part(CURLUPART_PASSWORD).empty())
    return entry.Refuse("server: give username and password to the user, not in the URL");
  if (!part(CURLUPART_QUERY).empty() || !part(CURLUPART_FRAGMENT).empty())
    return entry.Refuse(fmt::format("{}, without ? and #", kLike));
  return part(CURLUPART_URL);
}

base::Status ReadCluster(const api::Cluster& cluster, const Entry& entry, Config& config) {
  STRATA_ASSIGN_OR_RETURN(config.server, ReadServer(cluster.server(), entry));
  if (!cluster.proxy_url().empty()) return entry.Refuse("proxy-url isn't supported");
  while (config.server.ends_with('/')) config.server.pop_back();
  config.tls_server_name = cluster.tls_server_name();
  config.insecure_skip_tls_verify = cluster.insecure_skip_tls_verify();
  STRATA_RETURN_IF_ERROR(entry.Read("certificate-authority", cluster.certificate_authority(),
                                    cluster.certificate_authority_data(), config.ca_file,
                                    config.ca_pem));
  const bool has_ca = !config.ca_file.empty() || !config.ca_pem.empty();
  if (has_ca && config.insecure_skip_tls_verify) {
    return entry.Refuse(
        "specifying a root certificates file with the insecure flag is not allowed: take out "
        "insecure-skip-tls-verify, or the certificate-authority");
  }
  return base::OkStatus();
}

base::Status ReadUser(const api::AuthInfo& user, const Entry& entry, Config& config) {
  const auto unsupported = [&](std::string_view what) {
    return base::UnimplementedError(base::Message(entry.Refuse(fmt::format(
        "{} isn't supported: give it a client certificate, a token or a tokenFile", what))));
  };
  if (user.has_exec()) return unsupported("exec (a program that makes its credentials)");
  if (user.has_auth_provider()) return unsupported("auth-provider");
  if (!user.impersonate().empty() || !user.impersonate_uid().empty() ||
      user.impersonate_groups_size() > 0 || user.has_impersonate_user_extra()) {
    return entry.Refuse("as and as-… (impersonation) aren't supported: take them out");
  }
  if (!user.client_certificate().empty() || !user.client_certificate_data().empty()) {
    STRATA_RETURN_IF_ERROR(entry.Read("client-certificate", user.client_certificate(),
                                      user.client_certificate_data(), config.cert_file,
                                      config.cert_pem));
    STRATA_RETURN_IF_ERROR(entry.Read("client-key", user.client_key(), user.client_key_data(),
                                      config.key_file, config.key_pem));
    if (config.key_file.empty() && config.key_pem.empty())
      return entry.Refuse("client-key or client-key-data must go with its client certificate");
  }
  config.token = user.token();
  if (!user.token_file().empty()) {
    // Of both the file counts, unless it can't be read or is empty
    // (NewBearerAuthWithRefreshRoundTripper).
    auto read = entry.ReadFile("tokenFile", user.token_file(), config.token_file);
    if (read.ok() && TrimToken(*read).empty())
      read = entry.Refuse(fmt::format("tokenFile: {}: it is empty", config.token_file));
    if (read.ok()) {
      config.token.clear();
    } else if (config.token.empty()) {
      return read.status();
    } else {
      config.token_file.clear();
    }
  }
  config.username = user.username();
  config.password = user.password();
  const bool basic = !config.username.empty() || !config.password.empty();
  if (basic && (!config.token.empty() || !config.token_file.empty()))
    return entry.Refuse("username/password or bearer token may be set, but not both");
  return base::OkStatus();
}

base::StatusOr<Config> Resolve(const api::Config& file, const std::filesystem::path& folder) {
  if (file.current_context().empty()) return Invalid("no current-context is set");
  STRATA_ASSIGN_OR_RETURN(const auto* context,
                          Find(file.contexts(), "context", file.current_context()));
  STRATA_ASSIGN_OR_RETURN(const auto* cluster,
                          Find(file.clusters(), "cluster", context->context().cluster()));
  Config config;
  STRATA_RETURN_IF_ERROR(ReadCluster(
      cluster->cluster(), Entry(fmt::format("cluster \"{}\"", cluster->name()), folder), config));
  if (context->context().user().empty()) return config;
  STRATA_ASSIGN_OR_RETURN(const auto* user, Find(file.users(), "user", context->context().user()));
  STRATA_RETURN_IF_ERROR(
      ReadUser(user->user(), Entry(fmt::format("user \"{}\"", user->name()), folder), config));
  // In the clear nobody is told who we are (clientcmd/client_config.go ClientConfig).
  if (config.server.starts_with("http://")) return Config{.server = config.server};
  return config;
}

}  // namespace

std::string_view TrimToken(std::string_view content) {
  while (!content.empty() && static_cast<unsigned char>(content.back()) <= ' ')
    content.remove_suffix(1);
  while (!content.empty() && static_cast<unsigned char>(content.front()) <= ' ')
    content.remove_prefix(1);
  return content;
}

base::StatusOr<Config> LoadKubeconfig(const std::string& path) {
  STRATA_ASSIGN_OR_RETURN(const api::Config file, Parse(path));
  auto config = Resolve(file, std::filesystem::path(path).parent_path());
  if (!config.ok()) return base::Annotate(config.status(), path);
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
    STRATA_RETURN_IF_ERROR(base::ReadFile(file, kMaxFileBytes).status());
  }
  return config;
}

}  // namespace strata::kube
