#include "storage/serve/serve.h"

#include <absl/time/time.h>
#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/build_info.h"
#include "lib/base/clock.h"
#include "lib/base/process.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "lib/obs/process.h"
#include "storage/command_line/duration_flag.h"
#include "storage/engine/store.h"
#include "storage/rpc/maintenance.h"
#include "storage/rpc/server.h"
#include "storage/serve/auto_compaction.h"
#include "storage/serve/monitoring.h"
#include "storage/serve/periodic.h"

namespace strata::serve {
namespace {

// How long calls that run have at the end.
constexpr absl::Duration kPatience = absl::Seconds(5);
// And everything together from the signal on, or from an error at the start.
constexpr std::chrono::seconds kMostToEnd{10};
constexpr int kBadUsage = 2;
// etcd's (storage/quota.go DefaultQuotaBytes).
constexpr int64_t kDefaultQuota = int64_t{2} << 30;

struct Flags {
  std::string data_dir;
  engine::Options engine;
  rpc::Options rpc;
  std::vector<std::string> metrics_urls;
  std::string compaction_mode = "periodic";
  std::string compaction_retention = "0";
  int64_t quota_bytes = 0;
  bool client_cert_auth = false;
  std::chrono::milliseconds corrupt_check = std::chrono::hours(12);
  int verbosity = 0;
  std::string log_format = "text";
  size_t log_buffer_bytes = 8 << 20;
};

void AddFlags(CLI::App& command, Flags& flags) {
  command
      .add_option("--data-dir", flags.data_dir,
                  "Directory of the records; made if it isn't there. Has to be given")
      ->type_name("DIR");
  command
      .add_option("--listen-client-urls", flags.rpc.listen_urls,
                  "Where to listen: http://HOST:PORT, https://HOST:PORT, or unix:///PATH, a socket "
                  "that its user and group may open; port 0 chooses one")
      ->delimiter(',')
      ->type_name("URL,...")
      ->default_str("http://127.0.0.1:2379");
  command
      .add_option(
          "--advertise-client-urls", flags.rpc.advertise_urls,
          "URLs that the list of members gives clients; if there are none, where it listens")
      ->delimiter(',')
      ->type_name("URL,...");
  command.add_option("--cert-file", flags.rpc.cert_file, "Certificate for https, PEM")
      ->type_name("FILE");
  command.add_option("--key-file", flags.rpc.key_file, "Its key, PEM")->type_name("FILE");
  command
      .add_option("--trusted-ca-file", flags.rpc.client_ca_file,
                  "CA whose certificates clients must have, PEM")
      ->type_name("FILE");
  command
      .add_flag(
          "--client-cert-auth", flags.client_cert_auth,
          "Clients must have a certificate of --trusted-ca-file, as always where that is given")
      ->default_str("");
  command
      .add_option("--listen-metrics-urls", flags.metrics_urls,
                  "Where to answer /metrics, /health, /livez, /readyz and /version: "
                  "http://HOST:PORT")
      ->delimiter(',')
      ->type_name("URL,...");
  command
      .add_option("--quota-backend-bytes", flags.quota_bytes,
                  "Bytes that records may take; 0: 2 GiB, less: no limit")
      ->capture_default_str();
  command
      .add_option("--backend-batch-limit", flags.engine.map.changes_between_checkpoints,
                  "Changes to the tree that are in the write-ahead log alone, at most, about; a "
                  "write makes four or five")
      ->check(CLI::Range(size_t{1}, size_t{1} << 20))
      ->capture_default_str();
  command
      .add_option("--auto-compaction-mode", flags.compaction_mode,
                  "What --auto-compaction-retention counts")
      ->check(CLI::IsMember({"periodic", "revision"}))
      ->capture_default_str();
  command
      .add_option("--auto-compaction-retention", flags.compaction_retention,
                  "History that is kept: a time such as 30m (a bare number: hours), or a number "
                  "of revisions; 0: all")
      ->capture_default_str();
  command.add_option("--name", flags.rpc.member_name, "Name in the list of members")
      ->capture_default_str();
  command.add_option("--max-txn-ops", flags.engine.max_txn_ops, "Operations in one transaction")
      ->capture_default_str();
  command.add_option("--max-request-bytes", flags.rpc.max_request_bytes, "Bytes of one write")
      ->check(CLI::Range(size_t{1}, size_t{1} << 30))
      ->capture_default_str();
  command
      .add_option("--max-connections", flags.rpc.max_connections,
                  "Connections open at a time, of which one address has three quarters at most; "
                  "fewer where the system lets the process have few descriptors")
      ->check(CLI::Range(size_t{1}, size_t{1} << 20))
      ->capture_default_str();
  command
      .add_option("--max-concurrent-streams", flags.rpc.max_concurrent_streams,
                  "Calls at a time on one connection")
      ->check(CLI::Range(1, INT_MAX))
      ->capture_default_str();
  command
      .add_option("--max-response-bytes-inflight", flags.engine.max_inflight_answer_bytes,
                  "Bytes of all answers that are gathered or sent at a time; beyond it reads are "
                  "refused. One answer ends at 2 GiB")
      ->check(CLI::Range(size_t{1} << 20, size_t{1} << 40))
      ->capture_default_str();
  command_line::AddDuration(
      command, "--watch-progress-notify-interval,--experimental-watch-progress-notify-interval",
      flags.rpc.watch.progress_interval,
      "How often quiet watches hear of progress, if they ask for it")
      ->check(command_line::DurationRange(std::chrono::milliseconds(100), std::chrono::hours(24)));
  command_line::AddDuration(
      command, "--corrupt-check-time,--experimental-corrupt-check-time", flags.corrupt_check,
      "How often everything is read, to find damage; 0: never", command_line::Zero::kAllowed);
  command.add_option("-v", flags.verbosity, "Verbosity of the log")->capture_default_str();
  command.add_option("--log-format", flags.log_format, "Form of the log")
      ->check(CLI::IsMember({"text", "console", "json"}))
      ->capture_default_str();
  command
      .add_option("--log-buffer-bytes", flags.log_buffer_bytes,
                  "Bytes of lines that may wait for stderr; more are lost, counted, and said")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

template <int kCode = 1>
int Fail(const std::string& message) {
  base::EndWithin<kCode>(kMostToEnd);
  fmt::print(stderr, "strata-storage: {}\n", message);
  return kCode;
}

// etcd's names for what is the same of a cluster of one.
void AddServerMetrics(obs::Metrics& metrics) {
  metrics.AddGauge("etcd_server_has_leader", "Whether writes are taken.").Set(1);
  metrics.AddGauge("etcd_server_is_leader", "Whether this member leads.").Set(1);
  metrics.AddCounter("etcd_server_leader_changes_seen_total", "A cluster of one has none.");
  metrics
      .AddGauge("etcd_server_version", "The etcd whose API this is.",
                {{"server_version", rpc::kApiVersion}})
      .Set(1);
  metrics
      .AddGauge("strata_build_info", "Which build this is.", {{"version", base::Build().version}})
      .Set(1);
}

// What the command line lacks, whatever the files hold.
base::Status Check(const Flags& flags) {
  if (flags.data_dir.empty()) {
    return base::InvalidArgumentError(
        "--data-dir is required: the directory of the records, made if it isn't there");
  }
  if (flags.client_cert_auth && flags.rpc.client_ca_file.empty()) {
    return base::InvalidArgumentError(
        "--client-cert-auth needs the CA that clients' certificates are of: --trusted-ca-file");
  }
  return base::OkStatus();
}

int Serve(const Flags& flags) {
  if (const base::Status complete = Check(flags); !complete.ok()) {
    return Fail<kBadUsage>(std::string(base::Message(complete)));
  }
  base::BeginServing();
  // protobuf would write a line to stderr of each text of a client's that is no UTF-8, and wait for
  // it.
  google::protobuf::SetLogHandler(nullptr);
  const base::SystemClock clock;
  obs::Metrics metrics;
  const obs::Logger log({flags.log_format == "json" ? obs::LogFormat::kJson : obs::LogFormat::kText,
                         flags.verbosity, flags.log_buffer_bytes},
                        metrics);
  obs::AddProcessMetrics(metrics);
  const auto compaction =
      CompactionPolicy::Parse(flags.compaction_mode, flags.compaction_retention);
  if (!compaction.ok()) {
    return Fail<kBadUsage>(
        fmt::format("--auto-compaction-retention: {}", base::Message(compaction.status())));
  }
  engine::Options engine = flags.engine;
  engine.quota_bytes =
      flags.quota_bytes == 0 ? kDefaultQuota : std::max(flags.quota_bytes, int64_t{0});
  // Heard while the store opens, too, which survives another signal.
  const base::EndSignal end(kMostToEnd);
  auto store = engine::Store::Open(flags.data_dir, engine, clock, log, metrics);
  if (!store.ok()) return Fail(fmt::format("--data-dir: {}", base::Message(store.status())));

  AddServerMetrics(metrics);
  auto monitoring = Monitoring::Start(flags.metrics_urls, **store, metrics);
  if (!monitoring.ok())
    return Fail(fmt::format("--listen-metrics-urls: {}", base::Message(monitoring.status())));
  for (const std::string& url : (*monitoring)->urls()) log.Info("Serving metrics", {{"url", url}});

  rpc::Options options = flags.rpc;
  if (options.listen_urls.empty()) options.listen_urls = {"http://127.0.0.1:2379"};
  options.http = [&http = **monitoring](int socket, const sockaddr* peer, socklen_t size) {
    http.Adopt(socket, peer, size);
  };
  rpc::Server server(**store, std::move(options), log, metrics);
  if (const auto started = server.Start(); !started.ok()) {
    return Fail(fmt::format("--listen-client-urls: {}", base::Message(started)));
  }
  for (const std::string& url : server.urls()) {
    log.Info("Serving the etcd v3 API",
             {{"url", url}, {"directory", flags.data_dir}, {"revision", (*store)->revision()}});
  }

  CompactionPlan plan(*compaction, clock.Now());
  std::optional<Periodic> compacting, checking;  // end before what they use
  if (compaction->enabled())
    compacting.emplace(plan.interval(), [&] { CompactIfDue(plan, **store, clock.Now(), log); });
  if (flags.corrupt_check.count() > 0) {
    checking.emplace(flags.corrupt_check, [&] {
      if (const auto found = (*store)->Verify(); found.ok())
        log.Verbose(1, "Read everything, and found no damage", {{"changes", found->changes}});
    });
  }

  log.Info("Stopping", {{"signal", strsignal(end.Await())}});
  server.Shutdown(kPatience);
  return 0;
}

}  // namespace

void AddServe(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("serve", "Serve a data directory by the etcd v3 API");
  auto flags = std::make_shared<Flags>();
  AddFlags(*command, *flags);
  command->callback([flags, &exit_code] { exit_code = Serve(*flags); });
}

}  // namespace strata::serve
