#include "storage/client/endpoint.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grpcpp/create_channel_posix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "lib/transport/net/client_connection.h"
#include "lib/transport/net/tunnel.h"
#include "lib/transport/net/wait.h"

namespace strata::client {
namespace {

using std::chrono::steady_clock;

grpc::ChannelArguments Arguments(const net::Address& address, const Options& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(options.max_receive_bytes);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(options.keepalive_time.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                   static_cast<int>(options.keepalive_timeout.count()));
  // etcd counts pings of a connection without calls as abuse; the watch is a call.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, address.authority);
  arguments.SetString(GRPC_ARG_HTTP2_SCHEME, address.tls ? "https" : "http");
  return arguments;
}

}  // namespace

Client::Endpoint::Endpoint(std::string u, net::Address a, net::ClientCredentials* files,
                           const Options& o)
    : url(std::move(u)),
      address(std::move(a)),
      tls(address.tls ? files : nullptr),
      options(o),
      dialled(true),
      direct(std::make_unique<DirectConnection>(address, tls, o.dial_timeout)) {}

Client::Endpoint::Endpoint(std::string u, std::shared_ptr<const Connection> fixed,
                           InProcessRange range)
    : url(std::move(u)),
      tls(nullptr),
      dialled(false),
      in_process(std::move(range)),
      connection(std::move(fixed)) {}

base::StatusOr<std::shared_ptr<const Connection>> Client::Endpoint::Connect(
    CallEnd& end, base::MonotonicTime deadline, bool& fresh) {
  {
    absl::MutexLock lock(&mu);
    while (dialling) {
      fresh = true;
      const auto settled = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) { return !dialling; };
      if (!mu.AwaitWithTimeout(absl::Condition(&settled), absl::FromChrono(net::Left(deadline))))
        return base::DeadlineExceededError("no connection in time");
      // What ended somebody else's time isn't ours.
      if (!dialling && !failure.ok() && !absl::IsCancelled(failure) &&
          !absl::IsDeadlineExceeded(failure)) {
        return failure;
      }
    }
    if (connection != nullptr && !connection->over()) return connection;
    dialling = fresh = true;
  }
  auto made = Dial(end, std::min(deadline, steady_clock::now() + options.dial_timeout));
  absl::MutexLock lock(&mu);
  dialling = false;
  failure = made.status();
  connection = made.ok() ? *made : nullptr;
  return made;
}

void Client::Endpoint::Drop(const std::shared_ptr<const Connection>& broken) {
  absl::MutexLock lock(&mu);
  if (dialled && connection == broken) connection = nullptr;
}

base::StatusOr<std::shared_ptr<const Connection>> Client::Endpoint::Dial(
    CallEnd& end, base::MonotonicTime deadline) const {
  STRATA_ASSIGN_OR_RETURN(std::unique_ptr<net::ClientConnection> transport,
                          net::ClientConnection::Dial(address, tls, end.interruption(), deadline));
  // Bytes that nobody acknowledges end it as soon as a ping without an answer does.
  const auto patience = static_cast<unsigned>(options.keepalive_timeout.count());
  if (!address.unix_socket) {
    setsockopt(transport->socket(), IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof(patience));
  }
  std::unique_ptr<net::Tunnel> tunnel;
  int socket = -1;
  if (tls == nullptr) {
    socket = transport->Release();
  } else {
    tunnel = std::make_unique<net::Tunnel>(std::move(transport));
    socket = tunnel->TakeEnd();
  }
  const int duplicate = socket < 0 ? -1 : fcntl(socket, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) {
    if (socket >= 0) close(socket);
    return net::SystemError("connecting", errno);
  }
  const auto made = std::make_shared<const Connection>(
      grpc::CreateCustomInsecureChannelFromFd(url, socket, Arguments(address, options)),
      std::move(tunnel), duplicate);
  STRATA_RETURN_IF_ERROR(Greet(*made, end, deadline));
  return made;
}

// A server that takes connections may still be something else, or say nothing: a call that etcd
// answers from memory tells. What only an etcd says is an answer too (kine refuses some of it).
base::Status Client::Endpoint::Greet(const Connection& made, CallEnd& end,
                                     base::MonotonicTime deadline) const {
  grpc::ClientContext context;
  context.set_deadline(WallDeadline(deadline));
  etcdserverpb::StatusResponse response;
  const grpc::Status said =
      end.Run(context, [&] { return made.maintenance->Status(&context, {}, &response); });
  const base::Status status = FromGrpc(said);
  if (absl::IsCancelled(status)) return base::CancelledError("interrupted");
  if (status.ok() || !IsEndpointsFault(status)) return base::OkStatus();
  if (status.code() == base::StatusCode::kUnimplemented) return base::OkStatus();
  if (made.tunnel != nullptr || !absl::IsUnavailable(status) || IsHttpAnswer(said))
    return made.Explain(status);
  return base::UnavailableError(
      fmt::format("{}: does it want TLS, https://?", base::Message(status)));
}

}  // namespace strata::client
