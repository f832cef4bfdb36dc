#include "storage/serve/foreign_flags.h"

#include <string_view>

#include "lib/base/foreign_flags.h"

namespace strata::serve {
namespace {

bool Any(std::string_view /*value*/) {
  return true;
}

// NAME=URL, once or for several URLs of the one name.
bool IsOneMember(std::string_view cluster) {
  const std::string_view name = cluster.substr(0, cluster.find('='));
  while (!cluster.empty()) {
    const size_t comma = cluster.find(',');
    const std::string_view member = cluster.substr(0, comma);
    if (member.substr(0, member.find('=')) != name) return false;
    cluster = comma == std::string_view::npos ? "" : cluster.substr(comma + 1);
  }
  return true;
}

// etcd server/embed/config.go AddFlags, and server/etcdmain/help.go.
const std::vector<base::ForeignFlag>& All() {
  static constexpr std::string_view kOne =
      "this store is a cluster of one; more members need an etcd";
  static constexpr std::string_view kLog =
      "the log goes to stderr; --log-format and -v set it, and what collects it rotates it";
  static constexpr std::string_view kRights =
      "who has a certificate of --trusted-ca-file may do everything; give those alone one";
  static constexpr std::string_view kKept =
      "records.mdb and its log look after themselves; --backend-batch-limit says how far they may "
      "be apart";
  static const std::vector<base::ForeignFlag> kAll = {
      {"--initial-cluster", kOne, false, {}, IsOneMember},
      {"--initial-cluster-state", kOne, false, {"new", "existing"}},
      {"--initial-cluster-token", kOne, false, {}, Any},
      {"--initial-advertise-peer-urls", kOne, false, {}, Any},
      {"--initial-election-tick-advance", kOne, true, {}, Any},
      {"--listen-peer-urls", kOne, false, {}, Any},
      {"--peer-client-cert-auth", kOne, true, {}, Any},
      {"--peer-auto-tls", kOne, true, {}, Any},
      {"--peer-skip-client-san-verification", kOne, true, {}, Any},
      {"--peer-*", kOne, false, {}, Any},
      {"--heartbeat-interval", kOne, false, {}, Any},
      {"--election-timeout", kOne, false, {}, Any},
      {"--strict-reconfig-check", kOne, true, {}, Any},
      {"--pre-vote", kOne, true, {}, Any},
      {"--raft-*", kOne, false, {}, Any},
      {"--max-learners", kOne, false, {}, Any},
      {"--discovery*", kOne},
      {"--proxy*", kOne},
      {"--force-new-cluster",
       "it is one; what an etcd left is brought here by `restore`",
       true,
       {"false"}},
      {"--snapshot-count", kKept, false, {}, Any},
      {"--snapshot-catchup-entries", kKept, false, {}, Any},
      {"--max-snapshots", kKept, false, {}, Any},
      {"--max-wals", kKept, false, {}, Any},
      {"--backend-batch-interval", kKept, false, {}, Any},
      {"--backend-bbolt-freelist-type", kKept, false, {}, Any},
      {"--wal-dir",
       "the log is beside the records: put --data-dir on the disk that it shall be on"},
      {"--unsafe-no-fsync", "a write is answered when it is on the disk", true, {"false"}},
      {"--experimental-initial-corrupt-check",
       "every page of the trees is looked at at each start, and every record at "
       "--corrupt-check-time",
       true,
       {"true"}},
      {"--feature-gates", "there are none", false, {"", "InitialCorruptCheck=true"}},
      // etcd 3.5's names of what is no experiment here; kubeadm gives the second one.
      {"--experimental-corrupt-check-time", ""},
      {"--experimental-watch-progress-notify-interval", ""},
      {"--experimental-*", "etcd's experiments aren't made here: leave it out"},
      {"--grpc-keepalive-min-time", "clients may ping every 5 s", false, {"5s"}},
      {"--grpc-keepalive-interval", "clients are pinged every 2 h", false, {"2h", "2h0m0s"}},
      {"--grpc-keepalive-timeout", "clients have 20 s to answer a ping", false, {"20s"}},
      {"--socket-reuse-port",
       "two stores on one port would each get half of the clients",
       true,
       {"false"}},
      {"--socket-reuse-address", "an address can be used again at once", true, {}, Any},
      {"--listen-client-http-urls", "--listen-metrics-urls answers over HTTP"},
      {"--enable-grpc-gateway",
       "JSON over HTTP isn't served: use gRPC's clients, or etcdctl",
       true,
       {"false"}},
      {"--auto-tls",
       "give --cert-file and --key-file; certs/README.md makes them",
       true,
       {"false"}},
      {"--client-cert-file", "nothing here is a client of itself", false, {}, Any},
      {"--client-key-file", "nothing here is a client of itself", false, {}, Any},
      {"--client-crl-file", "lists of revoked certificates aren't read: replace the CA"},
      {"--client-cert-allowed-*", kRights},
      {"--auth-token", kRights, false, {"simple"}},
      {"--auth-token-ttl", kRights, false, {}, Any},
      {"--bcrypt-cost", kRights, false, {}, Any},
      {"--cipher-suites", "gRPC's are used: those of TLS 1.3, and of 1.2 with forward secrecy"},
      {"--tls-min-version", "TLS 1.2 and 1.3 are spoken", false, {"TLS1.2"}},
      {"--tls-max-version", "TLS 1.2 and 1.3 are spoken", false, {"", "TLS1.3"}},
      {"--cors", "no pages of browsers are served", false, {"*"}},
      {"--host-whitelist", "no pages of browsers are served", false, {"*"}},
      {"--enable-pprof",
       "there are no profiles to serve; metrics are at /metrics",
       true,
       {"false"}},
      {"--metrics", "all are always there", false, {"basic", "extensive"}},
      {"--enable-distributed-tracing", "no spans are made", true, {"false"}},
      {"--distributed-tracing-*", "no spans are made"},
      {"--logger", kLog, false, {"zap"}},
      {"--log-outputs", kLog, false, {"default", "stderr", "/dev/stderr"}},
      {"--log-level", "-v=2 shows more, and nothing shows less", false, {"info"}},
      {"--enable-log-rotation", kLog, true, {"false"}},
      {"--log-rotation-config-json", kLog},
      {"--warning-*", "how long writes take is in the metrics etcd_disk_*"},
      {"--enable-v2", "the v2 API isn't served", true, {"false"}},
      {"--v2-deprecation", "the v2 API isn't served", false, {}, Any},
      {"--config-file", "give its settings as flags"},
  };
  return kAll;
}

}  // namespace

base::Status DropForeignFlags(std::vector<std::string>& arguments) {
  return base::DropForeignFlags(All(), arguments);
}

}  // namespace strata::serve
