#include "storage/rpc/listener.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/owned.h"
#include "lib/transport/net/hello_bound.h"

namespace strata::rpc {
namespace {

using std::chrono::steady_clock;

constexpr size_t kMostWaiting = 256;
constexpr size_t kFirst = 3;  // bytes that tell
constexpr auto kFirstBytes = std::chrono::seconds(10);
constexpr auto kTellEvery = std::chrono::seconds(10);
// As gRPC sets it for the sockets that it accepts itself: its keepalive's time for an answer.
constexpr int kUserTimeoutMs = 20'000;
constexpr mode_t kSocketMode = 0660;

base::Status Failed(std::string_view what) {
  return base::UnavailableError(fmt::format("{}: {}", what, std::strerror(errno)));
}

using Addresses = base::Owned<addrinfo, freeaddrinfo>;

base::StatusOr<Addresses> Resolve(const ListenAddress& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int code = getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &list);
  if (code != 0)
    return base::UnavailableError(
        fmt::format("looking up {}: {}", address.host, gai_strerror(code)));
  return Addresses(list);
}

base::StatusOr<sockaddr_un> UnixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return base::InvalidArgumentError(
        fmt::format("a socket's path has at most {} bytes", sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// A socket file that nobody listens at was left by a process that is gone.
base::Status MakeRoom(const sockaddr_un& address) {
  struct stat file {};
  if (lstat(address.sun_path, &file) != 0) return base::OkStatus();  // bind says what is wrong
  if (!S_ISSOCK(file.st_mode))
    return base::FailedPreconditionError("something that is no socket is there: remove it");
  // One that doesn't take its connections must not hold this up.
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) return Failed("can't listen");
  const int error =
      connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
  close(probe);
  if (error == 0 || error == EAGAIN)
    return base::FailedPreconditionError("another process listens there");
  if (error == ECONNREFUSED && unlink(address.sun_path) == 0) return base::OkStatus();
  if (error != ECONNREFUSED) errno = error;
  return Failed("can't replace the socket that is there");
}

int PortOf(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET)
    return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  if (address.ss_family == AF_INET6)
    return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return 0;
}

void SetPort(sockaddr* address, int port) {
  if (address->sa_family == AF_INET)
    reinterpret_cast<sockaddr_in*>(address)->sin_port = htons(static_cast<uint16_t>(port));
  if (address->sa_family == AF_INET6)
    reinterpret_cast<sockaddr_in6*>(address)->sin6_port = htons(static_cast<uint16_t>(port));
}

// A socket is readable once so many bytes are there, or its peer has ended.
void WakeAt(int socket, int bytes) {
  setsockopt(socket, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
}

bool HasEnded(int socket) {
  pollfd end{socket, POLLRDHUP, 0};
  return poll(&end, 1, 0) > 0;
}

}  // namespace

// HTTP/2 begins with "PRI", a handshake with its own type; of HTTP/1.1 what is answered here are
// GET and HEAD.
Listener::Speaks Listener::FirstBytes(int socket) const {
  constexpr char kHandshake = 22;
  std::array<char, net::HelloBound::kHeads> first{};
  const bool ended = HasEnded(socket);  // before, so that nothing comes in between
  const ssize_t got = recv(socket, first.data(), first.size(), MSG_PEEK | MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Speaks::kNothingYet;
  if (got <= 0) return Speaks::kUnknown;
  const std::string_view all(first.data(), static_cast<size_t>(got)), seen = all.substr(0, kFirst);
  if (seen[0] == kHandshake) {
    if (!address_.tls) return Speaks::kTls;
    net::HelloBound hello;
    if (all.size() < first.size()) return ended ? Speaks::kUnknown : Speaks::kNothingYet;
    return hello.Take(all) && hello.begun() ? Speaks::kTls : Speaks::kUnknown;
  }
  if (seen == "PRI") return Speaks::kHttp2;
  if (seen == "GET" || seen == "HEA") return Speaks::kHttp1;
  return seen.size() < kFirst && !ended ? Speaks::kNothingYet : Speaks::kUnknown;
}

base::StatusOr<ListenAddress> ListenAddress::Parse(const std::string& url) {
  constexpr std::string_view kHttp = "http://", kHttps = "https://", kUnix = "unix://";
  const auto refused = [&] {
    return base::InvalidArgumentError(fmt::format(
        "{} is no URL to listen on: http://HOST:PORT, https://HOST:PORT or unix:///PATH", url));
  };
  ListenAddress address;
  std::string_view rest = url;
  if (rest.starts_with(kUnix)) {
    address.path = rest.substr(kUnix.size());
    return address.path.empty() ? base::StatusOr<ListenAddress>(refused()) : address;
  }
  address.tls = rest.starts_with(kHttps);
  if (!address.tls && !rest.starts_with(kHttp)) return refused();
  rest.remove_prefix(address.tls ? kHttps.size() : kHttp.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return refused();
  address.host = rest.substr(0, colon);
  address.port = rest.substr(colon + 1);
  const bool number = address.port.find_first_not_of("0123456789") == std::string::npos;
  if (address.port.empty() || address.port.size() > 5 || !number || std::stoi(address.port) > 65535)
    return refused();
  if (address.host.starts_with('[') && address.host.ends_with(']'))
    address.host = address.host.substr(1, address.host.size() - 2);
  return address;
}

bool ListenAddress::loopback() const {
  return !path.empty() || host.starts_with("127.") || host == "localhost" || host == "::1";
}

base::StatusOr<std::unique_ptr<Listener>> Listener::Open(const ListenAddress& address) {
  std::unique_ptr<Listener> listener(new Listener(address));
  STRATA_RETURN_IF_ERROR(address.path.empty() ? listener->BindName() : listener->BindPath());
  return listener;
}

Listener::Listener(ListenAddress address)
    : address_(std::move(address)), wake_(eventfd(0, EFD_CLOEXEC)) {}

// A name may have an address of each family, and the machine not both.
base::Status Listener::BindName() {
  STRATA_ASSIGN_OR_RETURN(const auto resolved, Resolve(address_));
  base::Status failed;
  for (addrinfo* one = resolved.get(); one != nullptr; one = one->ai_next) {
    if (port_ != 0) SetPort(one->ai_addr, port_);
    const base::Status bound = Bind(one->ai_addr, one->ai_addrlen);
    if (!bound.ok() && failed.ok()) failed = bound;
    if (!bound.ok() && errno != EADDRNOTAVAIL && errno != EAFNOSUPPORT) return bound;
  }
  return sockets_.empty() ? failed : base::OkStatus();
}

Listener::File Listener::FileAt(const std::string& path) {
  struct stat file {};
  if (lstat(path.c_str(), &file) != 0) return {};
  return {file.st_dev, file.st_ino};
}

base::Status Listener::BindPath() {
  STRATA_ASSIGN_OR_RETURN(const sockaddr_un address, UnixAddress(address_.path));
  STRATA_RETURN_IF_ERROR(MakeRoom(address));
  STRATA_RETURN_IF_ERROR(Bind(reinterpret_cast<const sockaddr*>(&address), sizeof(address)));
  file_ = FileAt(address_.path);
  // What the umask has taken from it.
  if (chmod(address.sun_path, kSocketMode) != 0) return Failed("can't give it to its group");
  return base::OkStatus();
}

base::Status Listener::Bind(const sockaddr* address, socklen_t size) {
  const int socket = ::socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) return Failed("can't listen");
  if (address->sa_family == AF_UNIX) {
    fchmod(socket, kSocketMode);  // which bind gives the file: others never may open it
  } else {
    // Also for the sockets that are accepted from it.
    const int on = 1, timeout = kUserTimeoutMs;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
  }
  sockaddr_storage bound{};
  socklen_t bound_size = sizeof(bound);
  if (bind(socket, address, size) != 0 || listen(socket, SOMAXCONN) != 0 ||
      getsockname(socket, reinterpret_cast<sockaddr*>(&bound), &bound_size) != 0) {
    base::Status failed = Failed("can't listen");
    const int error = errno;
    close(socket);
    errno = error;
    return failed;
  }
  sockets_.push_back(socket);
  port_ = PortOf(bound);
  return base::OkStatus();
}

Listener::~Listener() {
  if (thread_.joinable()) {
    const uint64_t one = 1;
    (void)!write(wake_, &one, sizeof(one));
    thread_.join();
  }
  // Somebody may have put another in its place.
  if (file_ != File() && FileAt(address_.path) == file_) unlink(address_.path.c_str());
  for (const int socket : sockets_) close(socket);
  close(wake_);
}

void Listener::Start(ConnectionTakers takers) {
  takers_ = std::move(takers);
  thread_ = std::thread([this] { Run(); });
}

void Listener::HandOn(const Waiting& one, Speaks speaks) {
  WakeAt(one.socket, 1);
  const bool plain = speaks == Speaks::kHttp1 || speaks == Speaks::kHttp2;
  if (address_.tls && plain) {
    return Refuse(one.socket, "plain HTTP where TLS is spoken: its URL must begin with https://",
                  "Client sent an HTTP request to an HTTPS server.");
  }
  if (!address_.tls && speaks == Speaks::kTls) {
    return Refuse(one.socket, "TLS where it isn't spoken: its URL must begin with http://",
                  "Client sent a TLS handshake to an HTTP server.");
  }
  if (address_.tls && speaks != Speaks::kTls) {
    close(one.socket);
    return;
  }
  if (speaks != Speaks::kHttp1 || takers_.http == nullptr)
    return takers_.grpc(one.listener, one.socket);
  sockaddr_storage peer{};
  socklen_t size = sizeof(peer);
  if (getpeername(one.socket, reinterpret_cast<sockaddr*>(&peer), &size) != 0) {
    close(one.socket);
  } else {
    takers_.http(one.socket, reinterpret_cast<sockaddr*>(&peer), size);
  }
}

// As Go's net/http answers; clients of either protocol say then what they met.
void Listener::Refuse(int socket, const char* what, const char* answer) {
  const std::string text = fmt::format("HTTP/1.0 400 Bad Request\r\n\r\n{}\n", answer);
  (void)!send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  // What it said is taken, so that the end doesn't overtake the answer.
  std::array<char, 4096> said{};
  (void)!recv(socket, said.data(), said.size(), MSG_DONTWAIT);
  close(socket);
  const auto now = steady_clock::now();
  if (takers_.refused == nullptr || now < tell_after_) return;
  tell_after_ = now + kTellEvery;
  takers_.refused(what);
}

// Whoever has said enough, or waited for too long, waits no more.
void Listener::LookAt(std::deque<Waiting>& waiting) {
  const auto now = steady_clock::now();
  std::erase_if(waiting, [&](const Waiting& one) {
    Speaks speaks = FirstBytes(one.socket);
    if (speaks == Speaks::kNothingYet && now < one.until) return false;
    HandOn(one, speaks);
    return true;
  });
}

void Listener::Accept(int listener, std::deque<Waiting>& waiting) {
  for (;;) {
    sockaddr_storage peer{};
    socklen_t size = sizeof(peer);
    const int socket =
        accept4(listener, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) {
      // Without descriptors, whoever comes waits until some are free again.
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) usleep(10'000);
      return;
    }
    if (takers_.admit != nullptr && !takers_.admit(socket, peer)) {
      close(socket);
      continue;
    }
    const Waiting one{listener, socket, steady_clock::now() + kFirstBytes};
    const Speaks speaks = FirstBytes(socket);
    if (speaks != Speaks::kNothingYet) {
      HandOn(one, speaks);
      continue;
    }
    if (waiting.size() == kMostWaiting) {
      HandOn(waiting.front(), Speaks::kNothingYet);
      waiting.pop_front();
    }
    WakeAt(socket, static_cast<int>(address_.tls ? net::HelloBound::kHeads : kFirst));
    waiting.push_back(one);
  }
}

void Listener::Run() {
  std::deque<Waiting> waiting;
  std::vector<pollfd> polled;
  for (;;) {
    polled.assign(1, {wake_, POLLIN, 0});
    for (const int listener : sockets_) polled.push_back({listener, POLLIN, 0});
    for (const Waiting& one : waiting) polled.push_back({one.socket, POLLIN, 0});
    // Deadlines are looked at once a second while somebody waits.
    poll(polled.data(), polled.size(), waiting.empty() ? -1 : 1000);
    if (polled.front().revents != 0) break;
    LookAt(waiting);
    for (const int listener : sockets_) Accept(listener, waiting);
  }
  for (const Waiting& one : waiting) close(one.socket);
}

}  // namespace strata::rpc
