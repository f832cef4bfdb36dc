#include "storage/client/channel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grpcpp/create_channel_posix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "lib/base/bytes.h"

namespace strata::client {
namespace {

using std::chrono::steady_clock;

// How gRPC says that what came has no grpc-status (http_client_filter.cc).
constexpr std::string_view kHttpAnswer = "Received http2 header with status: ";
// And that the stream was reset (chttp2 frame_rst_stream.cc), whose number it makes any of etcd's
// codes.
constexpr std::string_view kReset = "Received RST_STREAM with error code ";

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

bool IsHttpAnswer(const grpc::Status& status) {
  return status.error_message().starts_with(kHttpAnswer);
}

}  // namespace

void CallEnd::Set() {
  absl::MutexLock lock(&mu_);
  set_ = true;
  interruption_.Set();
  if (context_ != nullptr) context_->TryCancel();
}

bool CallEnd::Enter(grpc::ClientContext* context) {
  absl::MutexLock lock(&mu_);
  context_ = set_ ? nullptr : context;
  return !set_;
}

Connection::Connection(const std::shared_ptr<grpc::Channel>& channel,
                       std::unique_ptr<net::Tunnel> t, int s)
    : tunnel(std::move(t)),
      socket(s),
      kv(etcdserverpb::KV::NewStub(channel)),
      watch(etcdserverpb::Watch::NewStub(channel)),
      maintenance(etcdserverpb::Maintenance::NewStub(channel)),
      auth(etcdserverpb::Auth::NewStub(channel)) {}

Connection::~Connection() {
  if (socket >= 0) close(socket);
}

bool Connection::over() const {
  if (socket < 0) return false;
  pollfd polled{socket, POLLRDHUP, 0};
  return poll(&polled, 1, 0) > 0;
}

base::Status Connection::Explain(const base::Status& error) const {
  if (!absl::IsUnavailable(error) || tunnel == nullptr) return error;
  const base::Status ended = tunnel->ended();
  return ended.ok() ? error : ended;
}

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

std::chrono::system_clock::time_point WallDeadline(base::MonotonicTime deadline) {
  return std::chrono::system_clock::now() + net::Left(deadline);
}

bool IsTokensFault(const base::Status& status) {
  return status.code() == base::StatusCode::kUnauthenticated ||
         base::Message(status).find("revision of auth store is old") != std::string_view::npos;
}

bool IsEndpointsFault(const base::Status& status) {
  switch (status.code()) {
    case base::StatusCode::kUnavailable:
    case base::StatusCode::kDeadlineExceeded:
    case base::StatusCode::kDataLoss:  // of one member's disk
    // What gRPC makes of bytes that are no answer; etcd's own errors have other codes.
    case base::StatusCode::kInternal:
    case base::StatusCode::kUnknown:
    case base::StatusCode::kUnimplemented:
      return true;
    default:
      return base::Message(status).find("not supported for learner") != std::string_view::npos;
  }
}

bool IsConnectionsFault(const base::Status& status) {
  return (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
          absl::IsInternal(status)) &&
         !base::Message(status).starts_with("etcdserver: ");
}

base::Status At(const std::string& url, const base::Status& error) {
  if (error.ok()) return error;
  return base::Error(error.code(),
                     fmt::format("etcd {}: {}", url, base::Printable(base::Message(error), 600)));
}

base::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return base::OkStatus();
  const std::string& message = status.error_message();
  base::Status error = base::Error(static_cast<base::StatusCode>(status.error_code()), message);
  if (message.starts_with(kReset)) error = base::UnavailableError(message);
  if (IsHttpAnswer(status)) {
    error = base::UnavailableError(fmt::format("it answers HTTP status {}: that is no etcd",
                                               message.substr(kHttpAnswer.size())));
  }
  return error;
}

}  // namespace strata::client
