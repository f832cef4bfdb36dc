#include "lib/transport/net/server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lib/transport/net/guarded_protocol.h"
#include "lib/transport/net/io_thread.h"

namespace strata::net {
namespace {

constexpr std::chrono::seconds kAcceptErrorLogInterval{60};
constexpr std::chrono::milliseconds kCloseIdleInterval{100};

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  bool is_ipv6() const { return storage.ss_family == AF_INET6; }
  uint16_t port() const {
    return ntohs(is_ipv6() ? reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port
                           : reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
  }
  // As Go prints it: an IPv4 client of an IPv6 socket is an IPv4 client.
  std::string Text() const {
    char text[INET6_ADDRSTRLEN] = {};
    if (!is_ipv6()) {
      inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr, text,
                sizeof text);
      return fmt::format("{}:{}", text, port());
    }
    const in6_addr& address = reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(&address)) {
      inet_ntop(AF_INET, address.s6_addr + 12, text, sizeof text);
      return fmt::format("{}:{}", text, port());
    }
    inet_ntop(AF_INET6, &address, text, sizeof text);
    return fmt::format("[{}]:{}", text, port());
  }
};

base::StatusOr<SocketAddress> Parse(const ListenAddress& address) {
  SocketAddress parsed;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&parsed.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&parsed.storage);
  if (inet_pton(AF_INET, address.address.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    parsed.size = sizeof *v4;
  } else if (inet_pton(AF_INET6, address.address.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(address.port);
    parsed.size = sizeof *v6;
  } else {
    return base::InvalidArgumentError(fmt::format("{}: not an IP address", address.address));
  }
  return parsed;
}

}  // namespace

struct Server::Listener {
  ~Listener() {
    if (fd >= 0) close(fd);
  }
  int fd = -1;
};

Server::Server(ServerOptions options, const Credentials& credentials, ProtocolFactory factory,
               const base::Clock& clock, const obs::Logger& logger, obs::Metrics& metrics)
    : options_(std::move(options)),
      credentials_(credentials),
      factory_(Guarded(std::move(factory), logger, *counts_)),
      clock_(clock),
      logger_(logger) {
  RegisterMetrics(metrics);
}

Server::~Server() {
  Stop();
}

base::Status Server::Listen(const ListenAddress& address) {
  STRATA_ASSIGN_OR_RETURN(SocketAddress socket_address, Parse(address));
  const auto error = [&](const char* what) {
    return base::UnavailableError(
        fmt::format("{} {}:{}: {}", what, address.address, address.port, std::strerror(errno)));
  };
  auto listener = std::make_unique<Listener>();
  listener->fd =
      socket(socket_address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener->fd < 0) return error("socket");
  const int on = 1, off = 0;
  setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (options_.reuse_port) setsockopt(listener->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (socket_address.is_ipv6())
    setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (bind(listener->fd, socket_address.get(), socket_address.size) != 0) return error("bind");
  if (listen(listener->fd, options_.backlog) != 0) return error("listen on");
  SocketAddress bound;
  if (getsockname(listener->fd, bound.get(), &bound.size) != 0) return error("getsockname");
  ports_.push_back(bound.port());
  listeners_.push_back(std::move(listener));
  return base::OkStatus();
}

base::Status Server::Start(const std::vector<ListenAddress>& addresses) {
  for (const ListenAddress& address : addresses) {
    if (const base::Status status = Listen(address); !status.ok()) {
      listeners_.clear();
      ports_.clear();
      return status;
    }
  }
  const int threads = options_.io_threads > 0
                          ? options_.io_threads
                          : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  for (int i = 0; i < threads; ++i) {
    threads_.push_back(std::make_unique<IoThread>(
        options_.connection, options_.max_connections.most(), options_.reserved_connections,
        credentials_, factory_, clock_, logger_, counts_));
    threads_.back()->Start();
  }
  stop_accepting_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  acceptor_ = std::thread([this] { AcceptLoop(); });
  return base::OkStatus();
}

void Server::AcceptLoop() {
  std::vector<pollfd> polled;
  for (const auto& listener : listeners_) polled.push_back({listener->fd, POLLIN, 0});
  polled.push_back({stop_accepting_, POLLIN, 0});
  bool resting = false;
  for (;;) {
    // While it rests only the order to stop is listened to, so that a full backlog doesn't spin.
    pollfd* first = resting ? &polled.back() : polled.data();
    const nfds_t count = resting ? 1 : polled.size();
    poll(first, count, resting ? static_cast<int>(options_.accept_pause.count()) : -1);
    if (polled.back().revents != 0) return;
    resting = false;
    for (size_t i = 0; i < listeners_.size(); ++i) {
      if (!AcceptAll(*listeners_[i])) resting = true;
    }
  }
}

bool Server::AcceptAll(const Listener& listener) {
  for (;;) {
    SocketAddress peer;
    const int fd = accept4(listener.fd, peer.get(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EAGAIN) return true;
      // The peer's trouble, not ours (accept(2)).
      if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO || errno == EPERM) continue;
      const int error = errno;
      ++counts_->accept_errors;
      // Without descriptors nobody dials the backend either.
      if (error == EMFILE || error == ENFILE) EvictIdle();
      if (const auto now = clock_.Now(); now >= last_accept_error_ + kAcceptErrorLogInterval) {
        last_accept_error_ = now;
        logger_.Error("Can't accept connections, trying again", {{"err", std::strerror(error)}});
      }
      return false;
    }
    ++counts_->accepted;
    const auto open = static_cast<size_t>(counts_->open.load());
    const size_t most = options_.max_connections.most();
    if (open >= options_.max_connections.Of(open)) EvictIdle();
    if (open >= most + options_.reserved_connections) {
      ++counts_->rejected_over_limit;
      close(fd);
      continue;
    }
    ++counts_->open;
    size_t least = next_thread_ % threads_.size();
    for (size_t i = 0; i < threads_.size(); ++i) {
      const size_t at = (next_thread_ + i) % threads_.size();
      if (threads_[at]->load() < threads_[least]->load()) least = at;
    }
    next_thread_ = least + 1;
    threads_[least]->Adopt(fd, peer.Text(), peer.is_ipv6(), open >= most);
  }
}

void Server::EvictIdle() {
  if (evictions_.load() >= std::max<size_t>(1, options_.reserved_connections)) return;
  ++evictions_;
  EvictIdle(next_eviction_++, threads_.size());
}

void Server::Relieve() {
  const size_t open = open_connections();
  if (open < options_.max_connections.Of(open)) return;
  for (size_t i = 0; i < options_.reserved_connections; ++i) EvictIdle();
}

void Server::EvictIdle(size_t thread, size_t tries) {
  threads_[thread % threads_.size()]->EvictIdle([this, thread, tries](bool evicted) {
    if (evicted || tries == 1) {
      --evictions_;
    } else {
      EvictIdle(thread + 1, tries - 1);
    }
  });
}

void Server::StopAccepting() {
  if (!acceptor_.joinable()) return;
  const uint64_t one = 1;
  while (write(stop_accepting_, &one, sizeof one) < 0 && errno == EINTR) {
  }
  acceptor_.join();
  close(stop_accepting_);
  listeners_.clear();
}

size_t Server::Drain(std::chrono::milliseconds patience) {
  StopAccepting();
  for (const auto& thread : threads_) thread->Drain();
  const auto start = std::chrono::steady_clock::now();
  auto close_idle_at = start + options_.drain_idle_patience;
  for (auto now = start; open_connections() > 0 && now < start + patience;
       now = std::chrono::steady_clock::now()) {
    if (now >= close_idle_at) {
      for (const auto& thread : threads_) thread->CloseIdle();
      close_idle_at = now + kCloseIdleInterval;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return open_connections();
}

void Server::Stop() {
  StopAccepting();
  for (const auto& thread : threads_) thread->Stop();
  threads_.clear();
}

size_t Server::open_connections() const {
  return static_cast<size_t>(std::max<int64_t>(0, counts_->open.load()));
}

void Server::RegisterMetrics(obs::Metrics& metrics) {
  const auto counts = counts_;
  const auto gauge = [&](const char* protocol, std::atomic<int64_t> Counts::*member) {
    metrics.AddGaugeFunction("strata_connections", "Connections that are open, by what they speak.",
                             {{"protocol", protocol}}, [counts, member] {
                               return static_cast<double>(((*counts).*member).load());
                             });
  };
  gauge("h2", &Counts::http2);
  gauge("http/1.1", &Counts::http1);
  gauge("handshake", &Counts::handshaking);
  const auto counter = [&](const char* name, const char* help, const obs::Labels& labels,
                           std::atomic<uint64_t> Counts::*member) {
    metrics.AddCounterFunction(name, help, labels, [counts, member] {
      return static_cast<double>(((*counts).*member).load());
    });
  };
  counter("strata_connections_accepted_total", "Connections accepted.", {}, &Counts::accepted);
  counter("apiserver_tls_handshake_errors_total",
          "Number of requests dropped with 'TLS handshake error from' error", {},
          &Counts::handshake_errors);
  const char* bytes = "Bytes on the wire, TLS included.";
  counter("strata_network_bytes_total", bytes, {{"direction", "received"}},
          &Counts::bytes_received);
  counter("strata_network_bytes_total", bytes, {{"direction", "sent"}}, &Counts::bytes_sent);
  const char* rejected = "Connections refused or cut before or beside any request, by reason.";
  counter("strata_connections_rejected_total", rejected, {{"reason", "limit"}},
          &Counts::rejected_over_limit);
  counter("strata_connections_rejected_total", rejected, {{"reason", "idle"}}, &Counts::evicted);
  counter("strata_connections_rejected_total", rejected, {{"reason", "accept_error"}},
          &Counts::accept_errors);
  counter("strata_connections_rejected_total", rejected, {{"reason", "write_timeout"}},
          &Counts::write_timeouts);
  counter("strata_connections_rejected_total", rejected, {{"reason", "tls_flood"}},
          &Counts::tls_floods);
  counter("strata_connections_rejected_total", rejected, {{"reason", "fault"}}, &Counts::faults);
}

}  // namespace strata::net
