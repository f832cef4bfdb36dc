#include "storage/rpc/server.h"

#include <absl/time/clock.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <sys/stat.h>

#include <climits>
#include <optional>
#include <string_view>
#include <utility>

#include "storage/rpc/call_metrics.h"
#include "storage/rpc/maintenance.h"
#include "storage/rpc/services.h"
#include "storage/rpc/tls.h"
#include "storage/rpc/unserved.h"

namespace strata::rpc {
namespace {

constexpr std::string_view kHttp = "http://";
constexpr std::string_view kHttps = "https://";
constexpr std::string_view kUnix = "unix://";

// What a request may weigh beside the record that it writes (etcd's grpcOverheadBytes).
constexpr size_t kRequestOverhead = size_t{512} * 1024;

// What etcd allows its clients' keepalive, and asks of them (--grpc-keepalive-*).
constexpr int kMinPingIntervalMs = 5'000;
constexpr int kPingIntervalMs = 2 * 3600 * 1000;
constexpr int kPingTimeoutMs = 20'000;

// As gRPC writes addresses; nothing if it isn't a URL that we know.
std::optional<std::string> Address(std::string_view url) {
  if (url.starts_with(kUnix)) return fmt::format("unix:{}", url.substr(kUnix.size()));
  std::string_view rest = url;
  if (url.starts_with(kHttp)) {
    rest = url.substr(kHttp.size());
  } else if (url.starts_with(kHttps)) {
    rest = url.substr(kHttps.size());
  } else {
    return std::nullopt;
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const std::string_view port = rest.substr(colon + 1);
  if (port.empty() || port.find_first_not_of("0123456789") != std::string_view::npos) {
    return std::nullopt;
  }
  return std::string(rest);
}

std::string WithPort(const std::string& url, int port) {
  if (url.starts_with(kUnix)) return url;
  return fmt::format("{}:{}", url.substr(0, url.rfind(':')), port);
}

bool IsLoopback(std::string_view address) {
  return address.starts_with("127.") || address.starts_with("localhost:") ||
         address.starts_with("[::1]:") || address.starts_with("unix:");
}

}  // namespace

struct Server::Services {
  Services(engine::Store& store, const Server& server, obs::Metrics& metrics)
      : calls(metrics),
        identity{.cluster_id = store.cluster_id(), .member_id = store.member_id()},
        kv(store, identity, server.options_.max_request_bytes),
        watch(store, identity, server.options_.watch, metrics),
        lease(store, identity),
        cluster(store, identity, server.options_.member_name,
                [&server] {
                  return server.options_.advertise_urls.empty() ? server.urls()
                                                                : server.options_.advertise_urls;
                }),
        maintenance(store, identity),
        auth(store, identity) {}

  const CallMetrics calls;
  const Identity identity;
  KvService kv;
  WatchService watch;
  LeaseService lease;
  ClusterService cluster;
  MaintenanceService maintenance;
  AuthService auth;
  UnservedCalls unserved;
};

Server::Server(engine::Store& store, Options options, const obs::Logger& log, obs::Metrics& metrics)
    : store_(store),
      options_(std::move(options)),
      log_(log),
      services_(std::make_unique<Services>(store, *this, metrics)) {}

Server::~Server() {
  Shutdown(absl::ZeroDuration());
}

base::StatusOr<std::shared_ptr<grpc::ServerCredentials>> Server::Credentials(
    const std::string& url) const {
  if (!url.starts_with(kHttps)) return grpc::InsecureServerCredentials();
  if (options_.cert_file.empty() || options_.key_file.empty()) {
    return base::InvalidArgumentError(
        fmt::format("{} needs a certificate and its key (--cert-file, --key-file)", url));
  }
  return ServerTls(
      {.cert = options_.cert_file, .key = options_.key_file, .client_ca = options_.client_ca_file},
      log_);
}

base::Status Server::Start() {
  // grpc.health.v1.Health, as etcd has it. gRPC makes it for every server of the process.
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(static_cast<int>(options_.max_request_bytes + kRequestOverhead));
  builder.SetMaxSendMessageSize(INT_MAX);
  // Two stores on one port would each get half of the connections.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options_.max_concurrent_streams);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinPingIntervalMs);

  std::vector<int> ports(options_.listen_urls.size(), 0);
  for (size_t i = 0; i < ports.size(); ++i) {
    const std::string& url = options_.listen_urls[i];
    const auto address = Address(url);
    if (!address) {
      return base::InvalidArgumentError(fmt::format(
          "{} is no URL to listen on: http://HOST:PORT, https://HOST:PORT or unix:///PATH", url));
    }
    if (url.starts_with(kHttp) && !IsLoopback(*address)) {
      log_.Warning(
          "Anyone who reaches this address can read and write all records; use https with "
          "a client CA",
          {{"url", url}});
    }
    STRATA_ASSIGN_OR_RETURN(const auto credentials, Credentials(url));
    builder.AddListeningPort(*address, credentials, &ports[i]);
  }
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> creators;
  creators.push_back(CountingCalls(services_->calls));
  builder.experimental().SetInterceptorCreators(std::move(creators));
  builder.RegisterService(&services_->kv);
  builder.RegisterService(&services_->watch);
  builder.RegisterService(&services_->lease);
  builder.RegisterService(&services_->cluster);
  builder.RegisterService(&services_->maintenance);
  builder.RegisterService(&services_->auth);
  builder.RegisterCallbackGenericService(&services_->unserved);
  server_ = builder.BuildAndStart();

  for (size_t i = 0; i < ports.size(); ++i) {
    const std::string& url = options_.listen_urls[i];
    if (server_ == nullptr || ports[i] == 0) {
      Shutdown(absl::ZeroDuration());
      return base::UnavailableError(fmt::format(
          "can't listen on {}: is the port taken, the host another's, or a certificate unreadable?",
          url));
    }
    if (url.starts_with(kUnix)) chmod(url.c_str() + kUnix.size(), 0600);
    urls_.push_back(WithPort(url, ports[i]));
  }
  if (server_ == nullptr) return base::InternalError("gRPC's server doesn't start");
  return base::OkStatus();
}

grpc::Status Server::Range(const etcdserverpb::RangeRequest& request,
                           etcdserverpb::RangeResponse* response) const {
  engine::AnswerBytes answer = store_.NewAnswer();
  return services_->kv.Read(request, answer, response);
}

std::shared_ptr<grpc::Channel> Server::InProcessChannel() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(INT_MAX);
  arguments.SetMaxSendMessageSize(INT_MAX);
  return server_->InProcessChannel(arguments);
}

void Server::Shutdown(absl::Duration patience) {
  if (server_ == nullptr) return;
  services_->watch.StopStreams();
  server_->Shutdown(absl::ToChronoTime(absl::Now() + patience));
  server_.reset();
}

}  // namespace strata::rpc
