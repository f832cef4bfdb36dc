#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "server/registry/image_v1.h"
#include "server/start/flag_groups.h"
#include "storage/command_line/duration_flag.h"

namespace strata::start {
namespace {

using command_line::AddDuration;
using command_line::Zero;

void AddAuthenticationFlags(CLI::App& app, Flags& flags) {
  CLI::App& group = *app.add_option_group("Authentication");
  AddFile(group, "--kubeconfig", flags.kubeconfig,
          "kubeconfig of the kube-apiserver that is asked about tokens, rights and "
          "--requestheader-*; without it a pod asks its own cluster's");
  AddFile(group, "--authentication-kubeconfig", flags.authentication_kubeconfig,
          "The same, for authentication alone");
  AddSwitch(group, "--authentication-skip-lookup", flags.authentication_skip_lookup,
            "Leave ConfigMap kube-system/extension-apiserver-authentication alone");
  AddSwitch(group, "--authentication-tolerate-lookup-failure",
            flags.authentication_tolerate_lookup_failure,
            "Be ready even if that ConfigMap couldn't be read yet");
  AddDuration(group, "--authentication-token-webhook-cache-ttl", flags.token_review.ttl,
              "How long kube-apiserver's word on a token is kept", Zero::kAllowed);
  group
      .add_option("--api-audiences", flags.token_review.audiences,
                  "Audiences that tokens must be for; none: kube-apiserver's own, or the issuers")
      ->delimiter(',');
  auth::ServiceAccountToken::Options& accounts = flags.service_account;
  AddFile(group, "--service-account-key-file", accounts.key_files,
          "Public keys, PEM, of service account tokens, which are then verified here and not "
          "by kube-apiserver; may be repeated");
  AddFile(group, "--service-account-jwks-file", accounts.jwks_files,
          "The same as a JWK set (kube-apiserver's /openid/v1/jwks)");
  group
      .add_option("--service-account-issuer", accounts.issuers,
                  "Issuer of those tokens, as kube-apiserver's flag of this name; may be repeated")
      ->type_name("URL");
  AddFile(group, "--client-ca-file", flags.client_ca_file,
          "CA whose certificates are users: CN is the user, O the groups; PEM");
  AddFile(group, "--token-auth-file", flags.token_auth_file,
          "CSV of bearer tokens: token,user,uid,\"group1,group2\"");
  AddSwitch(group, "--anonymous-auth", flags.anonymous_auth,
            "Whether requests without credentials are system:anonymous's");
  CLI::Option* const proxy_ca =
      AddFile(group, "--requestheader-client-ca-file", flags.requestheader_client_ca_file,
              "CA of the proxies whose word on users is taken; PEM. Without it the ConfigMap's");
  auth::RequestHeaderConfig& header = flags.request_header;
  // Without the CA they come from the ConfigMap, all of them.
  const auto list = [&](const char* name, std::vector<std::string>& to, const char* help) {
    group.add_option(name, to, help)->delimiter(',')->capture_default_str()->needs(proxy_ca);
  };
  list("--requestheader-allowed-names", header.allowed_names,
       "Common names of those proxies; none: any");
  list("--requestheader-username-headers", header.username_headers, "Headers with the user's name");
  list("--requestheader-uid-headers", header.uid_headers, "Headers with the user's UID");
  list("--requestheader-group-headers", header.group_headers, "Headers with the user's groups");
  list("--requestheader-extra-headers-prefix", header.extra_header_prefixes,
       "Prefixes of headers with extra attributes of the user");
}

void AddAuthorizationFlags(CLI::App& app, Flags& flags) {
  CLI::App& group = *app.add_option_group("Authorization");
  group
      .add_option("--authorization-mode", flags.authorization_modes,
                  "Who decides, in order: Webhook (kube-apiserver), RBAC, AlwaysAllow. Without it "
                  "Webhook where there is a kube-apiserver, else RBAC")
      ->delimiter(',')
      ->check(CLI::IsMember({"Webhook", "RBAC", "AlwaysAllow"}))
      ->type_name("MODE,...");
  AddFile(group, "--authorization-kubeconfig", flags.authorization_kubeconfig,
          "As --kubeconfig, for authorization alone");
  AddDuration(group, "--authorization-webhook-cache-authorized-ttl",
              flags.subject_access_review.allowed_ttl, "How long a yes of kube-apiserver is kept",
              Zero::kAllowed);
  AddDuration(group, "--authorization-webhook-cache-unauthorized-ttl",
              flags.subject_access_review.denied_ttl, "How long a no of kube-apiserver is kept",
              Zero::kAllowed);
  AddSwitch(group, "--authorization-webhook-all-names-first",
            flags.subject_access_review.all_names_first,
            "Ask about all names of a namespace first, and only then about the one: one review "
            "serves a user's whole namespace. Not where an authorizer denies single names");
  group
      .add_option("--max-namespaces-per-view", flags.views.audiences.max_namespaces,
                  "Namespaces of which it is asked for one request whether its user may see them; "
                  "what is in more is left out")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      .add_option("--namespaces-asked-at-a-time", flags.views.audiences.at_a_time, "Of one request")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      .add_option("--rbac-source", flags.rbac_source,
                  "Where mode RBAC has its roles from: files, or the cluster")
      ->check(CLI::IsMember({"files", "cluster"}))
      ->capture_default_str();
  group
      .add_option("--rbac-file", flags.rbac_files,
                  "Roles and bindings: a YAML or JSON file or a directory of them; may be repeated")
      ->delimiter(',')
      ->type_name("PATH");
  group
      .add_option("--authorization-always-allow-paths", flags.always_allow_paths,
                  "Paths that everybody may read")
      ->delimiter(',')
      ->default_str("/healthz,/readyz,/livez");
}

void AddReviewFlags(CLI::App& app, Flags& flags) {
  CLI::App& group = *app.add_option_group("Requests to kube-apiserver");
  group
      .add_option("--review-cache-size", flags.review_cache.max_entries,
                  "Answers on tokens, and on rights, that are kept; the least recently used makes "
                  "place")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      .add_option("--max-review-waiters", flags.review_cache.max_waiting,
                  "Requests that may wait for kube-apiserver's answers; more are refused")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      .add_option(
          "--kube-api-max-in-flight", flags.kube.max_in_flight,
          "Requests to kube-apiserver at a time; more are refused. Nothing else limits them")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      .add_option("--kube-api-max-response-bytes", flags.kube.max_response_bytes,
                  "Bytes of one of its answers")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void AddSecretFlags(CLI::App& app, Flags& flags) {
  CLI::App& group = *app.add_option_group("Secrets");
  AddSwitch(group, "--enable-secrets", flags.enable_secrets,
            fmt::format("Serve {}: whoever may get it in a namespace reads the secrets with which "
                        "images are pulled there, by this server's rights at kube-apiserver",
                        registry::ImageStreamSecrets().name));
  AddFile(group, "--secrets-kubeconfig", flags.secrets_kubeconfig,
          "As --kubeconfig, for those secrets alone: its user needs list of secrets");
  group
      .add_option("--secrets-threads", flags.secret_askers.threads,
                  "Lists of secrets that kube-apiserver is asked for at a time")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  group
      .add_option("--secrets-queue", flags.secret_askers.max_queued,
                  "Requests that may wait for a thread, half of them one user's; more get 429")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

base::Status CompleteAuth(Flags& flags) {
  if (flags.authentication_kubeconfig.empty()) flags.authentication_kubeconfig = flags.kubeconfig;
  if (flags.authorization_kubeconfig.empty()) flags.authorization_kubeconfig = flags.kubeconfig;
  flags.token_review.cache = flags.subject_access_review.cache = flags.review_cache;
  flags.service_account.cache = flags.review_cache;
  auth::ServiceAccountToken::Options& accounts = flags.service_account;
  const bool keys = !accounts.key_files.empty() || !accounts.jwks_files.empty();
  if (keys == accounts.issuers.empty()) {
    return base::InvalidArgumentError(
        "--service-account-issuer goes together with --service-account-key-file or "
        "--service-account-jwks-file");
  }
  accounts.audiences = flags.token_review.audiences;
  const auto& modes = flags.authorization_modes;
  for (auto mode = modes.begin(); mode != modes.end(); ++mode) {
    if (std::find(modes.begin(), mode, *mode) != mode)
      return base::InvalidArgumentError("--authorization-mode names " + *mode + " twice");
  }
  const auto has = [&](const char* mode) {
    return std::find(modes.begin(), modes.end(), mode) != modes.end();
  };
  // Without modes RBAC may still come of there being no kube-apiserver.
  const bool rbac = has("RBAC") || modes.empty();
  if (!flags.rbac_files.empty() && !rbac) {
    return base::InvalidArgumentError(
        "--rbac-file has no effect without --authorization-mode=RBAC");
  }
  if (!flags.rbac_files.empty() && modes.empty()) flags.authorization_modes = {"RBAC"};
  if (flags.rbac_source == "cluster" && !has("RBAC")) {
    return base::InvalidArgumentError(
        "--rbac-source=cluster has no effect without --authorization-mode=RBAC");
  }
  if (flags.rbac_source == "cluster" && !flags.rbac_files.empty()) {
    return base::InvalidArgumentError("--rbac-source=cluster and --rbac-file exclude each other");
  }
  if (!flags.client_ca_file.empty())
    flags.tls.client_cas.push_back({"--client-ca-file", flags.client_ca_file});
  if (!flags.requestheader_client_ca_file.empty()) {
    flags.tls.client_cas.push_back(
        {"--requestheader-client-ca-file", flags.requestheader_client_ca_file});
  }
  return base::OkStatus();
}

base::Status CompleteSecrets(Flags& flags) {
  if (flags.enable_secrets && flags.serve == "layers")
    return base::InvalidArgumentError("--enable-secrets has no effect with --serve=layers");
  if (!flags.enable_secrets && !flags.secrets_kubeconfig.empty())
    return base::InvalidArgumentError(
        "--secrets-kubeconfig has no effect without --enable-secrets");
  if (flags.secrets_kubeconfig.empty()) flags.secrets_kubeconfig = flags.kubeconfig;
  return base::OkStatus();
}

}  // namespace

void AddIdentityFlags(CLI::App& app, Flags& flags) {
  AddAuthenticationFlags(app, flags);
  AddAuthorizationFlags(app, flags);
  AddReviewFlags(app, flags);
  AddSecretFlags(app, flags);
}

base::Status CompleteIdentity(Flags& flags) {
  STRATA_RETURN_IF_ERROR(CompleteAuth(flags));
  return CompleteSecrets(flags);
}

}  // namespace strata::start
