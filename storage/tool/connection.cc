#include "storage/tool/connection.h"

#include <absl/time/time.h>
#include <fmt/format.h>
#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <utility>

#include "storage/engine/store.h"
#include "storage/rpc/server.h"

namespace strata::tool {
namespace {

base::StatusOr<std::string> ReadPem(std::string_view flag, const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file || text.empty())
    return base::NotFoundError(fmt::format("{}: {} can't be read or is empty", flag, path));
  return text;
}

base::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const std::string& url,
                                                       const ConnectOptions& options) {
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  std::string target = url;
  if (url.starts_with("https://")) {
    grpc::SslCredentialsOptions tls;
    STRATA_ASSIGN_OR_RETURN(tls.pem_root_certs, ReadPem("--etcd-cafile", options.ca_file));
    STRATA_ASSIGN_OR_RETURN(tls.pem_cert_chain, ReadPem("--etcd-certfile", options.cert_file));
    STRATA_ASSIGN_OR_RETURN(tls.pem_private_key, ReadPem("--etcd-keyfile", options.key_file));
    credentials = grpc::SslCredentials(tls);
  } else if (!url.starts_with("http://") && !url.starts_with("unix:")) {
    return base::InvalidArgumentError(
        fmt::format("--etcd-servers: {} isn't http://HOST:PORT or https://HOST:PORT", url));
  }
  if (const size_t scheme = target.find("://");
      scheme != std::string::npos && !url.starts_with("unix:")) {
    target.erase(0, scheme + 3);
  }
  while (target.ends_with('/')) target.pop_back();
  grpc::ChannelArguments arguments;
  // As etcd's own client: a page of large records is larger than gRPC's 4 MiB.
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(target, credentials, arguments);
}

// Moves a channel that is connected to the front. An error if none is in time.
base::Status AwaitOne(std::vector<std::shared_ptr<grpc::Channel>>& channels,
                      const ConnectOptions& options) {
  for (const auto& channel : channels) channel->GetState(/*try_to_connect=*/true);
  const auto deadline = std::chrono::system_clock::now() + options.connect_timeout;
  while (std::chrono::system_clock::now() < deadline) {
    for (auto& channel : channels) {
      if (channel->WaitForConnected(std::chrono::system_clock::now() +
                                    std::chrono::milliseconds(100))) {
        std::swap(channel, channels.front());
        return base::OkStatus();
      }
    }
  }
  return base::UnavailableError(fmt::format("--etcd-servers: no connection to {} in {} ms",
                                            fmt::join(options.servers, ", "),
                                            options.connect_timeout.count()));
}

}  // namespace

struct Connection::Embedded {
  std::unique_ptr<engine::Store> store;
  std::unique_ptr<rpc::Server> server;
};

Connection::Connection() = default;

Connection::~Connection() {
  store_.reset();
  if (embedded_ != nullptr && embedded_->server != nullptr)
    embedded_->server->Shutdown(absl::Seconds(5));
}

base::StatusOr<std::unique_ptr<Connection>> Connection::Open(const ConnectOptions& options,
                                                             const base::Clock& clock,
                                                             const obs::Logger& log,
                                                             obs::Metrics& metrics) {
  std::unique_ptr<Connection> connection(new Connection());
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  if (!options.data_dir.empty()) {
    connection->embedded_ = std::make_unique<Embedded>();
    Embedded& embedded = *connection->embedded_;
    auto store = engine::Store::Open(options.data_dir, {}, clock, log, metrics);
    if (!store.ok()) return base::Annotate(store.status(), "--data-dir");
    embedded.store = *std::move(store);
    embedded.server = std::make_unique<rpc::Server>(*embedded.store, rpc::Options(), log, metrics);
    STRATA_RETURN_IF_ERROR(embedded.server->Start());
    channels.push_back(embedded.server->InProcessChannel());
  }
  for (const std::string& url :
       options.data_dir.empty() ? options.servers : std::vector<std::string>()) {
    STRATA_ASSIGN_OR_RETURN(auto channel, Connect(url, options));
    channels.push_back(std::move(channel));
  }
  if (channels.empty()) return base::InvalidArgumentError("give --etcd-servers or --data-dir");
  if (options.data_dir.empty()) STRATA_RETURN_IF_ERROR(AwaitOne(channels, options));
  connection->store_ = std::make_unique<RecordStore>(std::move(channels), options.prefix);
  return connection;
}

}  // namespace strata::tool
