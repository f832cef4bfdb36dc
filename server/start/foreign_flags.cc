#include "server/start/foreign_flags.h"

#include <string_view>

#include "lib/base/foreign_flags.h"

namespace strata::start {
namespace {

const std::vector<base::ForeignFlag>& All() {
  static constexpr std::string_view kNoWrites = "nothing is written";
  static constexpr std::string_view kIndex = "all records are held in an index";
  static constexpr std::string_view kBatch =
      "events are always written by a thread of its own, from a queue of "
      "--audit-log-batch-buffer-size";
  static constexpr std::string_view kDelegated =
      "kube-apiserver is asked: give its --kubeconfig, and what it knows is known here";
  static constexpr std::string_view kNoProfiles =
      "there are no profiles to serve; metrics are at /metrics";
  static const std::vector<base::ForeignFlag> kAll = {
      // RecommendedOptions (k8s.io/apiserver pkg/server/options).
      {"--tls-curve-preferences", "X25519, P-256 and P-384 are offered, in this order"},
      {"--permit-address-sharing", "the address is always shared", true, {"true"}},
      {"--etcd-healthcheck-timeout", "/readyz tells what the last read found, and asks nothing"},
      {"--etcd-readycheck-timeout", "/readyz tells what the last read found, and asks nothing"},
      {"--etcd-compaction-interval",
       "the history is for those who write it to compact: etcd's --auto-compaction-retention",
       false,
       {"0", "0s"}},
      {"--etcd-count-metric-poll-period", kIndex},
      {"--etcd-db-metric-poll-interval", "the size of the database is in etcd's own metrics"},
      {"--etcd-servers-overrides", "all records come from --etcd-servers"},
      {"--watch-cache", kIndex, true, {"true"}},
      {"--default-watch-cache-size", kIndex},
      {"--watch-cache-sizes", kIndex},
      {"--storage-backend", "the backend speaks etcd's v3 API", false, {"etcd3"}},
      {"--storage-media-type",
       "records are read in both encodings, and none is written",
       false,
       {"application/json", "application/vnd.kubernetes.protobuf"}},
      {"--encryption-provider-config*",
       "encrypted records can't be read: the backend must hold them in the clear"},
      {"--delete-collection-workers", kNoWrites},
      {"--enable-garbage-collector", kNoWrites, true, {"false"}},
      {"--lease-reuse-duration-seconds", kNoWrites},
      {"--audit-log-format", "events are lines of JSON", false, {"json"}},
      {"--audit-log-mode", kBatch, false, {"batch"}},
      {"--audit-log-version", "events are audit.k8s.io/v1", false, {"audit.k8s.io/v1"}},
      {"--audit-log-compress", "old files stay as they are", true, {"false"}},
      {"--audit-log-truncate-enabled", "events hold no bodies", true, {"false"}},
      {"--audit-log-truncate-*", "events hold no bodies"},
      {"--audit-log-batch-throttle-enable", kBatch, true, {"false"}},
      {"--audit-log-batch-throttle-*", kBatch},
      {"--audit-log-batch-max-size", kBatch},
      {"--audit-log-batch-max-wait", kBatch},
      {"--audit-webhook-*", "events go to --audit-log-path, from where a log shipper takes them"},
      {"--profiling", kNoProfiles, true, {"false"}},
      {"--contention-profiling", kNoProfiles, true, {"false"}},
      {"--debug-socket-path", kNoProfiles},
      {"--enable-priority-and-fairness", "--max-requests-inflight is the limit", true, {"false"}},
      {"--tracing-config-file", "no spans are made; a request's traceparent goes on to backends"},
      {"--feature-gates", "there are none"},
      {"--emulat*", "there is one version"},
      {"--enable-admission-plugins", "reads pass no admission"},
      {"--disable-admission-plugins", "reads pass no admission"},
      {"--admission-control-config-file", "reads pass no admission"},
      {"--vmodule", "-v is for the whole program"},
      {"--logtostderr", "the log goes to stderr", true, {"true"}},
      {"--alsologtostderr", "the log goes to stderr", true, {"false"}},
      {"--log-flush-frequency", "lines are written as they come"},
      // ServerRunOptions, and kube-apiserver's own.
      {"--max-mutating-requests-inflight",
       "nothing is written; --max-requests-inflight limits reads"},
      {"--livez-grace-period", "/livez is well from the start"},
      {"--shutdown-send-retry-after", "requests are served as long as it listens", true, {"false"}},
      {"--shutdown-watch-termination-grace-period",
       "watches end when the drain begins",
       false,
       {"0", "0s"}},
      {"--cors-allowed-origins", "no pages of browsers are served"},
      {"--strict-transport-security-directives", "no pages of browsers are served"},
      {"--external-hostname", "no answer names this server"},
      {"--advertise-address", "who may reach it is the Service's to say"},
      {"--insecure-port", "nothing is served in the clear", false, {"0"}},
      {"--authentication-config", kDelegated},
      {"--authentication-token-webhook-config-file", kDelegated},
      {"--authentication-token-webhook-version", kDelegated},
      {"--authorization-config", kDelegated},
      {"--authorization-webhook-config-file", kDelegated},
      {"--authorization-webhook-version", kDelegated},
      {"--oidc-*", kDelegated},
  };
  return kAll;
}

}  // namespace

base::Status DropForeignFlags(std::vector<std::string>& arguments) {
  return base::DropForeignFlags(All(), arguments);
}

}  // namespace strata::start
