#include "server/start/flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <utility>

#include "lib/base/ascii.h"
#include "server/registry/image_v1.h"
#include "storage/command_line/duration_flag.h"
#include "storage/command_line/etcd_flags.h"

namespace strata::start {
namespace {

using command_line::AddDuration;
using command_line::Zero;

constexpr std::chrono::milliseconds kMostAbsentTime{1'000};

// As pflag's: `--name` is `--name=true`, and `--name false` isn't `--name=false`.
void AddSwitch(CLI::App& app, const std::string& name, bool& to, const std::string& help) {
  app.add_flag(name, to, fmt::format("{} ({} unless told)", help, to));
}

void AddServingFlags(CLI::App& app, Flags& flags) {
  CLI::App& group = *app.add_option_group("Secure serving");
  group
      .add_option("--bind-address", flags.bind_address,
                  "IP address to listen on; 0.0.0.0 or :: for all")
      ->capture_default_str();
  group
      .add_option("--secure-port", flags.secure_port,
                  "Port to serve HTTPS on; 0 chooses a free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  group
      .add_option("--tls-cert-file", flags.tls.cert_file,
                  "Serving certificate with its chain, PEM; read again when it changes")
      ->type_name("FILE");
  group.add_option("--tls-private-key-file", flags.tls.key_file, "Its key, PEM")->type_name("FILE");
  group
      .add_option("--cert-dir", flags.tls.cert_dir,
                  "Where a self-signed pair is kept when no certificate is given")
      ->type_name("DIR")
      ->capture_default_str();
  group.add_option("--tls-min-version", flags.tls.min_version, "Lowest TLS version")
      ->check(CLI::IsMember({"VersionTLS12", "VersionTLS13"}))
      ->capture_default_str();
  group
      .add_option("--tls-cipher-suites", flags.tls.cipher_suites,
                  "TLS 1.2 cipher suites, IANA names")
      ->delimiter(',');
  group
      .add_option("--tls-sni-cert-key", flags.sni_pairs,
                  "Another pair, for clients that ask for its names: CERTIFICATE,KEY, or "
                  "CERTIFICATE,KEY:NAME,… where a name may begin with *.; may be repeated")
      ->type_name("FILE,FILE[:NAME,...]");
  AddSwitch(group, "--disable-http2-serving", flags.disable_http2, "Serve HTTP/1.1 only");
  AddSwitch(group, "--permit-port-sharing", flags.server.reuse_port, "Listen with SO_REUSEPORT");
  group
      .add_option("--goaway-chance", flags.chain.goaway_chance,
                  "Chance of an HTTP/2 request to end its connection once it is answered, for "
                  "balancers of connections to spread clients anew")
      ->check(CLI::Range(0.0, 0.02))
      ->capture_default_str();
  group
      .add_option("--http2-max-streams-per-connection", flags.session.max_concurrent_streams,
                  "Streams that one HTTP/2 connection may have")
      ->check(CLI::Range(1u, 100'000u))
      ->capture_default_str();
  group
      .add_option("--max-requests-inflight", flags.chain.in_flight.max_requests,
                  "Requests served at a time, three quarters of them one user's; more get 429. "
                  "0: no limit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  group
      .add_option("--max-revision-waiters", flags.chain.in_flight.max_revision_waiters,
                  "Requests that may wait for a resourceVersion which hasn't come, three quarters "
                  "of them one user's; more get 429. 0: no limit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  group
      .add_option("--max-watches", flags.chain.in_flight.max_watches,
                  "Watches that are open, three quarters of them one user's; more get 429. 0: no "
                  "limit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  AddDuration(group, "--request-timeout", flags.chain.request_timeout,
              "Longest time for one request");
  group
      .add_option_function<int64_t>(
          "--min-request-timeout",
          [&flags](int64_t seconds) {
            flags.objects.watching.min_request_timeout = std::chrono::seconds(seconds);
          },
          "Seconds after which a watch that names no timeout may end; at random up to twice as "
          "much")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->default_str("1800");
  AddDuration(group, "--shutdown-delay-duration", flags.shutdown_delay,
              "How long it is served on after SIGTERM, unready, for balancers to notice",
              Zero::kAllowed);
  group
      .add_option("--memory-limit-bytes", flags.memory.limit,
                  "Memory that the server may take; from four fifths of it on nothing that clients "
                  "share grows beyond a sixteenth of its bound, and idle connections are closed. "
                  "0: what its control group or the machine allows")
      ->check(CLI::Range(size_t{0}, size_t{1} << 50))
      ->capture_default_str();
  group
      .add_option("--max-connections", flags.server.max_connections.most(),
                  "Connections open at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      .add_option(
          "--reserved-connections", flags.server.reserved_connections,
          "So many more for proxies, whose certificate the proxies' CA has signed, and half of "
          "them for clients whose certificate the client CA has")
      ->check(CLI::Range(size_t{1}, size_t{10'000}))
      ->capture_default_str();
  group
      .add_option("--max-header-bytes", flags.session.max_header_bytes,
                  "Bytes of one request's headers; more get 431")
      ->check(CLI::Range(size_t{1024}, size_t{1} << 20))
      ->capture_default_str();
  group
      .add_option("--max-held-bytes-per-connection", flags.session.max_held_bytes,
                  "Bytes of unanswered requests that one connection may make us hold")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      .add_option("--max-held-request-bytes", flags.session.max_held_bytes_in_all.most(),
                  "The same of all connections together; more requests get 429")
      ->check(CLI::Range(size_t{1} << 20, size_t{1} << 40))
      ->capture_default_str();
  group
      .add_option(
          "--max-unread-response-bytes", flags.max_unread_response_bytes.most(),
          "Bytes of answers that clients of all connections haven't read yet, three quarters "
          "of them one user's; over it the slowest reader is given up and new answers are "
          "429")
      ->check(CLI::Range(size_t{1} << 20, size_t{1} << 40))
      ->capture_default_str();
  group
      .add_option("--min-read-rate", flags.session.min_read_rate,
                  "Bytes a second that a client has to take of an answer, over "
                  "--read-stall-timeout, or its stream is reset; 0: something")
      ->check(CLI::Range(0u, 1u << 30))
      ->capture_default_str();
  AddDuration(group, "--read-stall-timeout", flags.session.stall_timeout,
              "The time over which that is measured");
  AddDuration(group, "--idle-timeout", flags.session.idle_timeout,
              "Connections without a request are closed after this time");
  AddDuration(group, "--read-header-timeout", flags.session.header_timeout,
              "Longest time for the headers of a request");
  group
      .add_option("--io-threads", flags.server.io_threads,
                  "Threads for connections; 0: one for each CPU")
      ->check(CLI::Range(0, 256))
      ->capture_default_str();
  group.add_option("--worker-threads", flags.workers.threads, "Threads that build large answers")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  group
      .add_option("--worker-queue", flags.workers.max_queued,
                  "Builds that may wait for a thread, half of them one user's; more get 429")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      .add_option("--worker-queue-bytes", flags.workers.max_bytes.most(),
                  "Estimated bytes of answers that are built or wait for it; more get 429")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      .add_option("--list-threads", flags.listers.threads,
                  "Threads that read and encode lists, and what watches are behind with")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  group
      .add_option("--list-queue", flags.listers.max_queued,
                  "Tasks that may wait for them, half of them one user's: one for each list or "
                  "watch; more lists get 429, and more watches end")
      ->check(CLI::Range(size_t{1}, size_t{1} << 24))
      ->capture_default_str();
  group
      .add_option("--read-threads", flags.readers.threads, "Whole records that are read at a time")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  group
      .add_option("--read-queue", flags.readers.max_queued,
                  "Such reads that may wait for a thread; more get 429")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      .add_option("--internal-registry-hostname", flags.registry.internal,
                  "Where pods reach the registry; shown in status.dockerImageRepository")
      ->type_name("HOST[:PORT]");
  group
      .add_option("--external-registry-hostname", flags.registry.external,
                  "Where others do; shown in status.publicDockerImageRepository")
      ->type_name("HOST[:PORT]");
  AddDuration(group, "--file-poll-interval", flags.files.poll_interval,
              "How often certificates, tokens and roles are looked at for changes");
}

void AddStorageFlags(CLI::App& app, Flags& flags) {
  CLI::App& group = *app.add_option_group("Storage");
  command_line::AddEtcdFlags(group, {flags.etcd, flags.etcd_prefix, flags.etcd_password_file});
  AddDuration(group, "--etcd-keepalive-time", flags.etcd.keepalive_time,
              "How often a silent connection is probed; etcd allows every 5s");
  AddDuration(group, "--etcd-keepalive-timeout", flags.etcd.keepalive_timeout,
              "When a probe that isn't answered means a dead connection");
  AddDuration(group, "--etcd-request-timeout", flags.reflector.list.request_timeout,
              "Longest time for one page of a list");
  AddDuration(group, "--freshness-read-timeout", flags.reflector.barrier.read_timeout,
              "Longest wait of a request until its answer is known to be current, and of the read "
              "that tells");
  group
      .add_option("--max-freshness-waiters", flags.reflector.barrier.max_waiters,
                  "Requests that may wait for the backend; more get 429")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      .add_option("--list-page-size", flags.reflector.list.page_size,
                  "Records in one page of a list")
      ->check(CLI::Range(int64_t{1}, int64_t{100'000}))
      ->capture_default_str();
  group
      .add_option("--list-page-bytes", flags.reflector.list.page_bytes,
                  "A page of a list that is larger makes the next ones smaller")
      ->check(CLI::Range(size_t{1} << 10, size_t{1} << 30))
      ->capture_default_str();
  group
      .add_option("--list-parallelism", flags.reflector.list.parallelism,
                  "Pages of a list that are fetched or decoded at a time")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  group
      .add_option("--data-dir", flags.data_dir,
                  "Directory of the embedded store; made if it isn't there")
      ->type_name("DIR");
  group
      .add_option("--serve", flags.serve,
                  "What is served: all, or the layers of image streams alone, for which no whole "
                  "records are kept")
      ->check(CLI::IsMember({"all", "layers"}))
      ->capture_default_str();
  group
      .add_option("--cache-dir", flags.replica.cache_dir,
                  "Directory for a copy of etcd's records, from which whole objects are read; made "
                  "if it isn't there. Without it a temporary one")
      ->type_name("DIR");
  group
      .add_option("--watch-cache-bytes", flags.objects.watches.cache_bytes.most(),
                  "Bytes of events that watches share; a slower watch reads on from the history")
      ->check(CLI::Range(size_t{1} << 20, size_t{1} << 40))
      ->capture_default_str();
  group
      .add_option(
          "--watch-buffer-bytes", flags.objects.watches.buffer_bytes.most(),
          "Bytes of events that were made for watches and aren't sent, three quarters of them "
          "one user's; beyond them a watch ends, and its client goes on where it is")
      ->check(CLI::Range(size_t{1} << 20, size_t{1} << 40))
      ->capture_default_str();
  group
      .add_option("--layers-history-bytes", flags.views.history.max_bytes.most(),
                  "Bytes of what changes of layers replaced, kept for watches and lists of older "
                  "revisions")
      ->check(CLI::Range(size_t{1} << 20, size_t{1} << 40))
      ->capture_default_str();
  group
      .add_option("--layers-usage-bytes", flags.views.usage_bytes,
                  "Bytes of usages of namespaces that were counted and are kept for whoever asks "
                  "before anything changes, but for the last ones, however large; others are "
                  "counted anew")
      ->check(CLI::Range(size_t{1} << 20, size_t{1} << 40))
      ->capture_default_str();
  group
      .add_option("--list-buffer-bytes", flags.objects.list_buffer_bytes.most(),
                  "Bytes of all lists that are made before their heads are known; beyond them they "
                  "are made a second time")
      ->check(CLI::Range(size_t{0}, size_t{1} << 40))
      ->capture_default_str();
  AddDuration(group, "--watch-history-age", flags.replica.history_age,
              "How long it is kept what changed, for watches and lists of older revisions");
  group
      .add_option("--watch-history-bytes", flags.replica.history_bytes,
                  "Bytes of changes that are kept")
      ->check(CLI::Range(size_t{1} << 20, size_t{1} << 40))
      ->capture_default_str();
  group
      .add_option("--response-cache-bytes", flags.index.cache_bytes.most(),
                  "Bytes of encoded answers that are kept")
      ->capture_default_str();
  group
      .add_option("--max-entries-per-answer", flags.index.max_entries_per_answer,
                  "Images and layers that one answer may name")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void AddSourceFlags(CLI::App& app, Flags& flags) {
  CLI::App& group = *app.add_option_group("Records of an API server");
  group
      .add_option("--source", flags.source,
                  "Where the records are: etcd, by --etcd-servers or --data-dir, or kube: an API "
                  "server that serves images and image streams, where they are listed and watched")
      ->check(CLI::IsMember({"etcd", Flags::kKubeSource}))
      ->capture_default_str();
  group
      .add_option("--source-kubeconfig", flags.source_kubeconfig,
                  "kubeconfig of that API server; without it that of --kubeconfig, and without "
                  "either the pod's own cluster")
      ->type_name("FILE");
  AddDuration(group, "--source-request-timeout", flags.kube_source.feed.list_timeout,
              "Longest time for one page of a list, and for silence in a list by a watch");
  AddDuration(group, "--source-probe-interval", flags.kube_source.probe_interval,
              "How often the API server is asked for a sign of life");
  AddDuration(group, "--source-silence-time", flags.kube_source.silence_time,
              "Requests wait, and fail, while it has given none for this time");
  kube_source::Lookups::Options& lookups = flags.kube_source.lookups;
  AddDuration(group, "--source-lookup-timeout", lookups.timeout,
              "Longest time for a record that is read by its name, since the watch hasn't brought "
              "it");
  AddDuration(group, "--source-absent-ttl", lookups.absent_time,
              "How long it is kept that there is no such record, at most 1s", Zero::kAllowed);
  group
      .add_option("--source-lookups-inflight", lookups.most_in_flight,
                  "Records that are read by name at a time")
      ->check(CLI::Range(size_t{1}, size_t{1} << 10))
      ->capture_default_str();
  group
      .add_option("--source-lookup-queue", lookups.most_waiting,
                  "Names that may wait for that, half of them one user's; what needs more gets 429")
      ->check(CLI::Range(size_t{1}, size_t{1} << 20))
      ->capture_default_str();
}

void AddAuthenticationFlags(CLI::App& app, Flags& flags) {
  CLI::App& group = *app.add_option_group("Authentication");
  group
      .add_option("--kubeconfig", flags.kubeconfig,
                  "kubeconfig of the kube-apiserver that is asked about tokens, rights and "
                  "--requestheader-*; without it a pod asks its own cluster's")
      ->type_name("FILE");
  group
      .add_option("--authentication-kubeconfig", flags.authentication_kubeconfig,
                  "The same, for authentication alone")
      ->type_name("FILE");
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
  group
      .add_option(
          "--service-account-key-file", accounts.key_files,
          "Public keys, PEM, of service account tokens, which are then verified here and not "
          "by kube-apiserver; may be repeated")
      ->type_name("FILE");
  group
      .add_option("--service-account-jwks-file", accounts.jwks_files,
                  "The same as a JWK set (kube-apiserver's /openid/v1/jwks)")
      ->type_name("FILE");
  group
      .add_option("--service-account-issuer", accounts.issuers,
                  "Issuer of those tokens, as kube-apiserver's flag of this name; may be repeated")
      ->type_name("URL");
  group
      .add_option("--client-ca-file", flags.client_ca_file,
                  "CA whose certificates are users: CN is the user, O the groups; PEM")
      ->type_name("FILE");
  group
      .add_option("--token-auth-file", flags.token_auth_file,
                  "CSV of bearer tokens: token,user,uid,\"group1,group2\"")
      ->type_name("FILE");
  AddSwitch(group, "--anonymous-auth", flags.anonymous_auth,
            "Whether requests without credentials are system:anonymous's");
  CLI::Option* const proxy_ca =
      group
          .add_option(
              "--requestheader-client-ca-file", flags.requestheader_client_ca_file,
              "CA of the proxies whose word on users is taken; PEM. Without it the ConfigMap's")
          ->type_name("FILE");
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
  group
      .add_option("--authorization-kubeconfig", flags.authorization_kubeconfig,
                  "As --kubeconfig, for authorization alone")
      ->type_name("FILE");
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
  group
      .add_option("--secrets-kubeconfig", flags.secrets_kubeconfig,
                  "As --kubeconfig, for those secrets alone: its user needs list of secrets")
      ->type_name("FILE");
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

void AddAuditFlags(CLI::App& app, Flags& flags) {
  CLI::App& group = *app.add_option_group("Auditing");
  group
      .add_option("--audit-policy-file", flags.audit_policy_file,
                  "Which requests are logged: a Policy of audit.k8s.io/v1")
      ->type_name("FILE");
  group
      .add_option("--audit-log-path", flags.audit.path,
                  "Where they are logged, a line of JSON for each event; -: standard output")
      ->type_name("FILE");
  group
      .add_option("--audit-log-maxsize", flags.audit.max_size_mb,
                  "Megabytes after which the file is turned over; 0: never")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  group.add_option("--audit-log-maxbackup", flags.audit.max_backups, "Old files that stay; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  group
      .add_option("--audit-log-maxage", flags.audit.max_age_days,
                  "Days that old files stay; 0: for ever")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  group
      .add_option("--audit-log-batch-buffer-size", flags.audit.max_queued,
                  "Events that may wait for the disk; more are dropped, and counted")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      .add_option("--audit-log-batch-buffer-bytes", flags.audit.max_queued_bytes,
                  "Bytes of events that may wait for the disk; more are dropped, and counted")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
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

base::StatusOr<net::NamedPair> ParseNamedPair(const std::string& text) {
  const auto trimmed = [](std::string_view part) { return std::string(base::Trim(part)); };
  const size_t colon = std::min(text.find(':'), text.size());
  const size_t comma = text.find(',');
  net::NamedPair pair;
  if (comma < colon) {
    pair.cert_file = trimmed(std::string_view(text).substr(0, comma));
    pair.key_file = trimmed(std::string_view(text).substr(comma + 1, colon - comma - 1));
  }
  if (pair.cert_file.empty() || pair.key_file.empty() ||
      pair.key_file.find(',') != std::string::npos) {
    return base::InvalidArgumentError(fmt::format(
        "--tls-sni-cert-key: CERTIFICATE,KEY or CERTIFICATE,KEY:NAME,… is expected, not {}", text));
  }
  for (size_t at = colon; at < text.size();) {
    const size_t end = std::min(text.find(',', at + 1), text.size());
    pair.names.push_back(trimmed(std::string_view(text).substr(at + 1, end - at - 1)));
    if (pair.names.back().empty())
      return base::InvalidArgumentError("--tls-sni-cert-key: a name is empty: " + text);
    at = end;
  }
  return pair;
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

// Who holds the records: one of three.
base::Status CompleteSource(Flags& flags) {
  const bool etcd = !flags.etcd.endpoints.empty(), store = !flags.data_dir.empty();
  if (flags.source == Flags::kKubeSource) {
    if (etcd || store) {
      return base::InvalidArgumentError(fmt::format(
          "--source=kube and {} exclude each other: give the one that holds the records",
          etcd ? "--etcd-servers" : "--data-dir"));
    }
    if (flags.kube_source.lookups.absent_time > kMostAbsentTime)
      return base::InvalidArgumentError("--source-absent-ttl is at most 1s");
    if (flags.kube_source.silence_time < flags.kube_source.probe_interval) {
      return base::InvalidArgumentError(
          "--source-silence-time is at least --source-probe-interval, at which signs of life come");
    }
    if (flags.source_kubeconfig.empty()) flags.source_kubeconfig = flags.kubeconfig;
    flags.kube_source.feed.page_size = flags.reflector.list.page_size;
    flags.kube_source.barrier = flags.reflector.barrier;
    return base::OkStatus();
  }
  if (!flags.source_kubeconfig.empty()) {
    return base::InvalidArgumentError("--source-kubeconfig has no effect without --source=kube");
  }
  if (etcd && store) {
    return base::InvalidArgumentError(
        "--etcd-servers and --data-dir exclude each other: give the one that holds the records");
  }
  if (!etcd && !store) {
    return base::InvalidArgumentError(
        "one of --etcd-servers and --data-dir is needed, or --source=kube: where are the records?");
  }
  return base::OkStatus();
}

}  // namespace

void AddFlags(CLI::App& app, Flags& flags) {
  // As with pflag, so that manifests can be added to.
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  // Read before the parser sees anything (arguments.h); here for --help.
  app.add_option("--config", "File of flags, YAML: their names without dashes, and values")
      ->type_name("FILE");
  AddServingFlags(app, flags);
  AddStorageFlags(app, flags);
  AddSourceFlags(app, flags);
  AddAuthenticationFlags(app, flags);
  AddAuthorizationFlags(app, flags);
  AddReviewFlags(app, flags);
  AddSecretFlags(app, flags);
  AddAuditFlags(app, flags);
  CLI::App& group = *app.add_option_group("Log");
  group
      .add_option("-v,--v", flags.verbosity,
                  "Verbosity: 2 tells of refused credentials, 3 of each request")
      ->capture_default_str();
  group.add_option("--log-format,--logging-format", flags.log_format, "Form of the log")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  group
      .add_option("--log-buffer-bytes", flags.log_buffer_bytes,
                  "Bytes of lines that may wait for stderr; more are lost, counted, and said")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

base::Status Complete(Flags& flags) {
  STRATA_RETURN_IF_ERROR(CompleteSource(flags));
  if (!flags.replica.cache_dir.empty() && !flags.data_dir.empty()) {
    return base::InvalidArgumentError(
        "--cache-dir has no effect with --data-dir, which holds the records themselves");
  }
  if (!flags.replica.cache_dir.empty() && flags.serve == "layers") {
    return base::InvalidArgumentError("--cache-dir has no effect with --serve=layers");
  }
  if (flags.tls.cert_file.empty() != flags.tls.key_file.empty()) {
    return base::InvalidArgumentError("--tls-cert-file and --tls-private-key-file go together");
  }
  for (const std::string& text : flags.sni_pairs) {
    STRATA_ASSIGN_OR_RETURN(net::NamedPair pair, ParseNamedPair(text));
    flags.tls.named_pairs.push_back(std::move(pair));
  }
  STRATA_RETURN_IF_ERROR(
      command_line::CompleteEtcdFlags({flags.etcd, flags.etcd_prefix, flags.etcd_password_file}));
  // A connection of HTTP/1.1, or the socket below streams of HTTP/2, as a stream.
  flags.server.connection.min_read_rate = flags.session.min_read_rate;
  flags.server.connection.write_timeout = flags.session.stall_timeout;
  STRATA_RETURN_IF_ERROR(CompleteAuth(flags));
  STRATA_RETURN_IF_ERROR(CompleteSecrets(flags));
  if (flags.audit_policy_file.empty() != flags.audit.path.empty()) {
    return base::InvalidArgumentError(
        "--audit-policy-file and --audit-log-path go together: what is logged, and where");
  }
  flags.tls.http2 = !flags.disable_http2;
  return base::OkStatus();
}

}  // namespace strata::start
