#include "storage/rpc/server.h"

#include <absl/time/clock.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <climits>
#include <utility>

#include "storage/rpc/call_metrics.h"
#include "storage/rpc/connections.h"
#include "storage/rpc/listener.h"
#include "storage/rpc/maintenance.h"
#include "storage/rpc/services.h"
#include "storage/rpc/tls.h"
#include "storage/rpc/unserved.h"

namespace strata::rpc {
namespace {

// What a request may weigh beside the record that it writes (etcd's grpcOverheadBytes).
constexpr size_t kRequestOverhead = size_t{512} * 1024;

// What etcd allows its clients' keepalive, and asks of them (--grpc-keepalive-*).
constexpr int kMinPingIntervalMs = 5'000;
constexpr int kPingIntervalMs = 2 * 3600 * 1000;
constexpr int kPingTimeoutMs = 20'000;

std::string WithPort(const std::string& url, int port) {
  return port == 0 ? url : fmt::format("{}:{}", url.substr(0, url.rfind(':')), port);
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
        maintenance(store, identity, server.options_.snapshot_patience),
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
      services_(std::make_unique<Services>(store, *this, metrics)),
      connections_(std::make_shared<Connections>(options_.max_connections)) {
  if (options_.listen_urls.empty()) return;
  metrics.AddGaugeFunction("strata_store_connections", "Connections of clients that are open.", {},
                           [connections = connections_] { return connections->open(); });
  metrics.AddCounterFunction("strata_store_connections_rejected_total",
                             "Connections closed at once because there are too many, or too many "
                             "of one address.",
                             {}, [connections = connections_] { return connections->refused(); });
}

Server::~Server() {
  Shutdown(absl::ZeroDuration());
}

base::StatusOr<std::shared_ptr<grpc::ServerCredentials>> Server::Credentials(
    const std::string& url, const ListenAddress& address) {
  if (!address.tls) return grpc::InsecureServerCredentials();
  if (options_.cert_file.empty() || options_.key_file.empty()) {
    return base::InvalidArgumentError(
        fmt::format("{} needs a certificate and its key (--cert-file, --key-file)", url));
  }
  if (tls_ == nullptr) {
    STRATA_ASSIGN_OR_RETURN(tls_, ServerTls::Load({.cert = options_.cert_file,
                                                   .key = options_.key_file,
                                                   .client_ca = options_.client_ca_file},
                                                  log_));
  }
  return tls_->Credentials();
}

base::Status Server::Start() {
  // grpc.health.v1.Health, as etcd has it. gRPC makes it for every server of the process.
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(static_cast<int>(options_.max_request_bytes + kRequestOverhead));
  builder.SetMaxSendMessageSize(INT_MAX);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options_.max_concurrent_streams);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             static_cast<int>(options_.handshake_timeout.count()));

  std::vector<std::unique_ptr<Listener>> listeners;
  std::vector<std::shared_ptr<grpc::experimental::ExternalConnectionAcceptor>> acceptors;
  for (const std::string& url : options_.listen_urls) {
    STRATA_ASSIGN_OR_RETURN(const ListenAddress address, ListenAddress::Parse(url));
    if (!address.tls && !address.loopback()) {
      log_.Warning(
          "Anyone who reaches this address can read and write all records; use https with "
          "a client CA",
          {{"url", url}});
    }
    STRATA_ASSIGN_OR_RETURN(const auto credentials, Credentials(url, address));
    auto listener = Listener::Open(address);
    if (!listener.ok()) return base::Annotate(listener.status(), url);
    urls_.push_back(WithPort(url, (*listener)->port()));
    listeners.push_back(*std::move(listener));
    acceptors.push_back(builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, credentials));
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

  if (server_ == nullptr) return base::InternalError("gRPC's server doesn't start");
  for (size_t i = 0; i < listeners.size(); ++i) {
    const auto to_grpc = [acceptor = acceptors[i]](int listener, int socket) {
      grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
      connection.listener_fd = listener;
      connection.fd = socket;
      acceptor->HandleNewConnection(&connection);
    };
    const auto tell = [this, url = urls_[i]](const char* what) {
      log_.Warning("Refused a client that speaks something else", {{"url", url}, {"what", what}});
    };
    const auto admit = [this](int socket, const sockaddr_storage& peer) {
      return connections_->Admit(socket, peer);
    };
    listeners[i]->Start({.admit = admit, .grpc = to_grpc, .http = options_.http, .refused = tell});
  }
  listeners_ = std::move(listeners);
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
  listeners_.clear();
  services_->watch.StopStreams();
  server_->Shutdown(absl::ToChronoTime(absl::Now() + patience));
  server_.reset();
}

}  // namespace strata::rpc
