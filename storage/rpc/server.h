// The etcd v3 API over one store, on sockets and within the process.
#pragma once

#include <absl/time/time.h>
#include <sys/socket.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "storage/engine/store.h"
#include "storage/rpc/watch.h"

namespace etcdserverpb {
class RangeRequest;
class RangeResponse;
}  // namespace etcdserverpb
namespace grpc {
class Channel;
class Server;
class ServerCredentials;
class Status;
}  // namespace grpc

namespace strata::rpc {

class Connections;
class Listener;
class ServerTls;
struct ListenAddress;

struct Options {
  // http://HOST:PORT, https://HOST:PORT (HOST an IP address or a name; port 0 chooses one) or
  // unix:///PATH. None: the in-process channel alone.
  std::vector<std::string> listen_urls{};
  // What the list of members tells clients; empty: where it listens.
  std::vector<std::string> advertise_urls{};
  // PEM files, read again when they change; needed for https. With a client CA, clients must have a
  // certificate of it.
  std::string cert_file{};
  std::string key_file{};
  std::string client_ca_file{};
  // The greatest write, as etcd's --max-request-bytes.
  size_t max_request_bytes = 1536 * 1024;
  // Open at a time, and fewer where there are too few descriptors.
  size_t max_connections = 4096;
  // Until a connection's client has said what HTTP/2 and TLS begin with, whole.
  std::chrono::milliseconds handshake_timeout = std::chrono::seconds(10);
  // Calls at a time on one connection.
  int max_concurrent_streams = 4096;
  std::string member_name = "default";
  WatchOptions watch{};
  // How long a client of a snapshot may take nothing before others may have one.
  absl::Duration snapshot_patience = absl::Minutes(1);
  // Takes connections that speak HTTP/1.1, of those without TLS, and owns them; must be callable as
  // long as the server listens. Null: they are gRPC's to refuse.
  std::function<void(int socket, const sockaddr* peer, socklen_t size)> http{};
};

// Thread-safe once started. The store must outlive it.
class Server {
 public:
  Server(engine::Store& store, Options options, const obs::Logger& log, obs::Metrics& metrics);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  // Listens everywhere, or nowhere: the error names the URL or file.
  base::Status Start();

  // Where it listens, with the ports that were chosen. After Start.
  const std::vector<std::string>& urls() const { return urls_; }

  // A channel that needs no socket. After Start; it ends with the server.
  std::shared_ptr<grpc::Channel> InProcessChannel();

  // What the service answers, without a call: for who asks it in this process all the time.
  grpc::Status Range(const etcdserverpb::RangeRequest& request,
                     etcdserverpb::RangeResponse* response) const;

  // Refuses new calls, ends watches, and waits for the others until the deadline, which then are
  // cancelled.
  void Shutdown(absl::Duration patience);

 private:
  struct Services;

  base::StatusOr<std::shared_ptr<grpc::ServerCredentials>> Credentials(
      const std::string& url, const ListenAddress& address);

  const engine::Store& store_;
  const Options options_;
  const obs::Logger& log_;
  std::vector<std::string> urls_;
  std::unique_ptr<ServerTls> tls_;  // null: no URL has TLS
  std::unique_ptr<Services> services_;
  std::unique_ptr<grpc::Server> server_;
  const std::shared_ptr<Connections> connections_;  // the metrics' too
  std::vector<std::unique_ptr<Listener>> listeners_;
};

}  // namespace strata::rpc
