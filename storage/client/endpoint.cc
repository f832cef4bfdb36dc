#include "storage/client/endpoint.h"

#include <absl/synchronization/notification.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grpcpp/create_channel_posix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "lib/base/thread.h"
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

// Of an endpoint that is alone nothing is gained by giving it up sooner.
Patience::Bounds PatienceOf(const Options& options) {
  const bool alone = options.endpoints.size() < 2;
  return {alone ? options.dial_timeout : options.dial_patience, options.dial_timeout};
}

}  // namespace

Client::Endpoint::Endpoint(std::string u, net::Address a, net::ClientCredentials* files,
                           const Options& o)
    : url(std::move(u)),
      address(std::move(a)),
      tls(address.tls ? files : nullptr),
      options(o),
      dialled(true),
      dialling(PatienceOf(o)),
      answering(PatienceOf(o)),
      direct(std::make_unique<DirectConnection>(address, tls, PatienceOf(o))) {}

Client::Endpoint::Endpoint(std::string u, std::shared_ptr<const Connection> fixed,
                           InProcessRange range)
    : url(std::move(u)),
      tls(nullptr),
      dialled(false),
      in_process(std::move(range)),
      dialling(PatienceOf(options)),
      answering(PatienceOf(options)),
      connection(std::move(fixed)) {}

Client::Endpoint::~Endpoint() {
  std::thread ending;
  {
    absl::MutexLock lock(&mu);
    stopping = true;
    if (dial_end != nullptr) dial_end->Set();
    ending = std::move(dialler);
  }
  if (ending.joinable()) ending.join();
}

std::shared_ptr<const Connection> Client::Endpoint::Ready() {
  absl::MutexLock lock(&mu);
  return Usable();
}

std::shared_ptr<const Connection> Client::Endpoint::Usable() const {
  return connection != nullptr && !connection->over() ? connection : nullptr;
}

void Client::Endpoint::Connect(const std::shared_ptr<Wait>& wait, base::MonotonicTime deadline) {
  std::shared_ptr<const Connection> there;
  base::Status why = base::CancelledError("interrupted");
  {
    absl::MutexLock lock(&mu);
    there = Usable();
    if (there == nullptr && !wait->cancelled) why = StartDialler();
    if (there == nullptr && why.ok()) {
      wait->since = steady_clock::now();
      waits.push_back(wait);
      // Weak: the alarm, and with it this function, is the wait's own.
      wait->alarm.Set(WallDeadline(deadline), [this, weak = std::weak_ptr(wait)](bool) {
        const auto kept = weak.lock();
        if (kept != nullptr && !kept->told.exchange(true)) GiveUp(kept);
      });
      if (dial_end == nullptr) dial_end = std::make_unique<CallEnd>();
      return;
    }
  }
  if (there == nullptr) return wait->then(why, false);
  wait->then(there, false);
}

base::Status Client::Endpoint::StartDialler() {
  if (dialler.joinable()) return base::OkStatus();
  auto thread = base::StartThread([this] { RunDialler(); });
  if (!thread.ok()) return base::Annotate(thread.status(), "connecting");
  dialler = *std::move(thread);
  return base::OkStatus();
}

void Client::Endpoint::Cancel(const std::shared_ptr<Wait>& wait) {
  absl::MutexLock lock(&mu);
  wait->cancelled = true;
  wait->alarm.Cancel();  // which runs what it was set for, elsewhere
}

void Client::Endpoint::GiveUp(const std::shared_ptr<Wait>& wait) {
  bool cancelled = false;
  {
    absl::MutexLock lock(&mu);
    cancelled = wait->cancelled;
    std::erase(waits, wait);
    if (waits.empty() && dial_end != nullptr) dial_end->Set();
  }
  wait->then(cancelled ? base::CancelledError("interrupted")
                       : base::DeadlineExceededError("no connection in time"),
             true);
}

void Client::Endpoint::RunDialler() {
  for (;;) {
    CallEnd* end = nullptr;
    {
      absl::MutexLock lock(&mu);
      const auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
        return stopping || dial_end != nullptr;
      };
      mu.Await(absl::Condition(&wanted));
      if (stopping) return;
      end = dial_end.get();
    }
    const auto since = steady_clock::now();
    const auto made = Dial(*end);
    Waits told;
    {
      absl::MutexLock lock(&mu);
      connection = made.ok() ? *made : nullptr;
      told = TakeTold(made.status(), *end, since);
      dial_end = waits.empty() ? nullptr : std::make_unique<CallEnd>();
    }
    for (const auto& wait : told) {
      if (!wait->told.exchange(true)) wait->then(made, true);
    }
  }
}

Client::Endpoint::Waits Client::Endpoint::TakeTold(const base::Status& outcome, const CallEnd& end,
                                                   base::MonotonicTime since) {
  // Nobody waited any more then: whoever does now has come later.
  if (!outcome.ok() && end.set()) return {};
  Waits told = std::move(waits);
  waits.clear();
  if (!absl::IsDeadlineExceeded(outcome)) return told;
  // What was somebody else's time isn't that of whoever came later.
  const auto later = std::partition(told.begin(), told.end(),
                                    [&](const auto& wait) { return wait->since <= since; });
  waits.assign(later, told.end());
  told.erase(later, told.end());
  return told;
}

base::StatusOr<std::shared_ptr<const Connection>> Client::Endpoint::AwaitConnection(CallEnd& end) {
  base::StatusOr<std::shared_ptr<const Connection>> result = base::CancelledError("interrupted");
  absl::Notification told;
  const auto wait = std::make_shared<Wait>([&](auto made, bool) {
    result = std::move(made);
    told.Notify();
  });
  if (!end.Arm([&] { Cancel(wait); })) return result;
  Connect(wait, base::MonotonicTime::max());
  told.WaitForNotification();
  end.Disarm();
  return result;
}

void Client::Endpoint::Drop(const std::shared_ptr<const Connection>& broken) {
  absl::MutexLock lock(&mu);
  if (dialled && connection == broken) connection = nullptr;
}

base::StatusOr<std::shared_ptr<const Connection>> Client::Endpoint::Dial(CallEnd& end) {
  return dialling.Try([&](base::MonotonicTime deadline) { return TryDial(end, deadline); });
}

base::StatusOr<std::shared_ptr<const Connection>> Client::Endpoint::TryDial(
    CallEnd& end, base::MonotonicTime deadline) const {
  const net::Interruption interruption;
  if (!end.Arm([&] { interruption.Set(); })) return base::CancelledError("interrupted");
  auto transport = net::ClientConnection::Dial(address, tls, interruption, deadline);
  end.Disarm();
  if (!transport.ok()) return transport.status();
  // Bytes that nobody acknowledges end it as soon as a ping without an answer does.
  const auto unacknowledged = static_cast<unsigned>(options.keepalive_timeout.count());
  if (!address.unix_socket) {
    setsockopt((*transport)->socket(), IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged,
               sizeof(unacknowledged));
  }
  std::unique_ptr<net::Tunnel> tunnel;
  int socket = -1;
  if (tls == nullptr) {
    socket = (*transport)->Release();
  } else {
    tunnel = std::make_unique<net::Tunnel>(*std::move(transport));
    socket = tunnel->TakeEnd();
  }
  const int duplicate = socket < 0 ? -1 : fcntl(socket, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) {
    if (socket >= 0) close(socket);
    return net::SystemError("connecting", errno);
  }
  auto made = std::make_shared<const Connection>(
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
  if (IsAnswer(status)) return base::OkStatus();
  if (made.tunnel != nullptr || !absl::IsUnavailable(status) || IsHttpAnswer(said))
    return made.Explain(status);
  return base::UnavailableError(
      fmt::format("{}: does it want TLS, https://?", base::Message(status)));
}

}  // namespace strata::client
