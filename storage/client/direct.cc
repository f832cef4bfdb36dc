#include "storage/client/direct.h"

#include <absl/functional/function_ref.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace strata::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

milliseconds Left(base::MonotonicTime deadline) {
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(deadline - steady_clock::now()));
}

struct Address {
  std::string scheme;  // "http", "https", "unix"
  std::string host;    // or the path
  std::string port;
  std::string authority;
};

// `url` has been checked: it has a scheme and something behind it.
Address Parse(const std::string& url) {
  const size_t colon = url.find("://");
  Address address{.scheme = url.substr(0, colon), .host = url.substr(colon + 3)};
  if (address.scheme == "unix") {
    address.authority = "localhost";
    return address;
  }
  address.host.resize(std::min(address.host.find('/'), address.host.size()));
  address.authority = address.host;
  const size_t port = address.host.rfind(':');
  const bool bracketed = address.host.ends_with(']');
  address.port =
      port == std::string::npos || bracketed ? address.scheme : address.host.substr(port + 1);
  if (port != std::string::npos && !bracketed) address.host.resize(port);
  if (address.host.starts_with('[')) address.host = address.host.substr(1, address.host.size() - 2);
  return address;
}

base::Status SystemError(const char* what, int code) {
  return base::UnavailableError(fmt::format("{}: {}", what, std::strerror(code)));
}

base::Status TlsError(const char* what) {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return base::UnavailableError(fmt::format("{}: {}", what, text.data()));
}

struct Deleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

}  // namespace

// A socket, with TLS or without. Never blocks but in Await, which an eventfd ends.
class DirectConnection::Transport {
 public:
  explicit Transport(int interrupt) : interrupt_(interrupt) {}
  ~Transport() {
    ssl_.reset();
    if (socket_ >= 0) close(socket_);
  }

  base::Status Connect(const Address& address, base::MonotonicTime deadline) {
    if (address.scheme == "unix") {
      sockaddr_un name{};
      name.sun_family = AF_UNIX;
      if (address.host.size() >= sizeof(name.sun_path))
        return base::UnavailableError("the socket's path is too long");
      std::memcpy(name.sun_path, address.host.data(), address.host.size());
      return ConnectTo(reinterpret_cast<sockaddr*>(&name), sizeof(name), deadline);
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const int code = getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &list);
    if (code != 0) return base::UnavailableError(gai_strerror(code));
    const std::unique_ptr<addrinfo, Deleter> all(list);
    base::Status status = base::UnavailableError("no address");
    for (const addrinfo* one = list; one != nullptr && !status.ok(); one = one->ai_next)
      status = ConnectTo(one->ai_addr, one->ai_addrlen, deadline);
    return status;
  }

  base::Status Secure(const Options& options, const std::string& host,
                      base::MonotonicTime deadline) {
    const std::unique_ptr<SSL_CTX, Deleter> context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    const bool trusted =
        options.ca_file.empty()
            ? SSL_CTX_set_default_verify_paths(context.get()) == 1
            : SSL_CTX_load_verify_locations(context.get(), options.ca_file.c_str(), nullptr) == 1;
    if (!trusted) return TlsError("--etcd-cafile");
    if (!options.cert_file.empty() &&
        (SSL_CTX_use_certificate_chain_file(context.get(), options.cert_file.c_str()) != 1 ||
         SSL_CTX_use_PrivateKey_file(context.get(), options.key_file.c_str(), SSL_FILETYPE_PEM) !=
             1)) {
      return TlsError("--etcd-certfile");
    }
    ssl_.reset(SSL_new(context.get()));
    constexpr std::array<unsigned char, 3> kH2 = {2, 'h', '2'};
    SSL_set_alpn_protos(ssl_.get(), kH2.data(), kH2.size());
    X509_VERIFY_PARAM* const verify = SSL_get0_param(ssl_.get());
    if (X509_VERIFY_PARAM_set1_ip_asc(verify, host.c_str()) != 1) {
      ERR_clear_error();
      SSL_set_tlsext_host_name(ssl_.get(), host.c_str());
      if (SSL_set1_host(ssl_.get(), host.c_str()) != 1) return TlsError("the server's name");
    }
    SSL_set_fd(ssl_.get(), socket_);
    for (;;) {
      const int code = SSL_connect(ssl_.get());
      if (code == 1) break;
      STRATA_RETURN_IF_ERROR(AwaitTls(SSL_get_error(ssl_.get(), code), errno, "TLS", deadline));
    }
    const unsigned char* protocol = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &protocol, &size);
    return size == 2 ? base::OkStatus() : base::UnavailableError("TLS: the server speaks no h2");
  }

  base::Status Write(std::string_view bytes, base::MonotonicTime deadline) {
    while (!bytes.empty()) {
      const auto size = static_cast<int>(bytes.size());
      const ssize_t written = ssl_ != nullptr
                                  ? SSL_write(ssl_.get(), bytes.data(), size)
                                  : send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (written > 0) {
        bytes.remove_prefix(static_cast<size_t>(written));
        continue;
      }
      const int code = errno;
      STRATA_RETURN_IF_ERROR(ssl_ != nullptr
                                 ? AwaitTls(SSL_get_error(ssl_.get(), static_cast<int>(written)),
                                            code, "writing", deadline)
                                 : AwaitPlain(code, POLLOUT, "writing", deadline));
    }
    return base::OkStatus();
  }

  // Some bytes, once there are any; none at the end. `before_waiting` is called if there are none
  // yet.
  base::StatusOr<std::string_view> Read(base::MonotonicTime deadline,
                                        absl::FunctionRef<base::Status()> before_waiting) {
    for (;;) {
      const auto size = static_cast<int>(buffer_.size());
      const ssize_t got = ssl_ != nullptr ? SSL_read(ssl_.get(), buffer_.data(), size)
                                          : recv(socket_, buffer_.data(), buffer_.size(), 0);
      if (got > 0) return std::string_view(buffer_.data(), static_cast<size_t>(got));
      if (ssl_ == nullptr) {
        if (got == 0) return std::string_view();
        const int code = errno;
        if (code == EAGAIN) STRATA_RETURN_IF_ERROR(before_waiting());
        STRATA_RETURN_IF_ERROR(AwaitPlain(code, POLLIN, "reading", deadline));
        continue;
      }
      const int error = SSL_get_error(ssl_.get(), static_cast<int>(got));
      if (error == SSL_ERROR_ZERO_RETURN) return std::string_view();
      const int code = errno;
      if (error == SSL_ERROR_WANT_READ) STRATA_RETURN_IF_ERROR(before_waiting());
      STRATA_RETURN_IF_ERROR(AwaitTls(error, code, "reading", deadline));
    }
  }

 private:
  base::Status ConnectTo(const sockaddr* name, socklen_t size, base::MonotonicTime deadline) {
    if (socket_ >= 0) close(socket_);
    socket_ = socket(name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0) return SystemError("connecting", errno);
    const int on = 1;
    if (name->sa_family != AF_UNIX) setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(socket_, name, size) == 0) return base::OkStatus();
    if (errno != EINPROGRESS) return SystemError("connecting", errno);
    STRATA_RETURN_IF_ERROR(Await(POLLOUT, deadline));
    int failure = 0;
    socklen_t length = sizeof(failure);
    getsockopt(socket_, SOL_SOCKET, SO_ERROR, &failure, &length);
    return failure == 0 ? base::OkStatus() : SystemError("connecting", failure);
  }

  base::Status Await(short events, base::MonotonicTime deadline) const {
    for (;;) {
      std::array<pollfd, 2> polled = {pollfd{socket_, events, 0}, pollfd{interrupt_, POLLIN, 0}};
      const int ready =
          poll(polled.data(), polled.size(), static_cast<int>(Left(deadline).count()));
      if (ready < 0 && errno == EINTR) continue;
      if (ready < 0) return SystemError("waiting", errno);
      if (ready == 0) return base::DeadlineExceededError("no answer in time");
      if (polled[1].revents == 0) return base::OkStatus();
      eventfd_t count = 0;
      eventfd_read(interrupt_, &count);
      return base::CancelledError("interrupted");
    }
  }

  base::Status AwaitPlain(int code, short events, const char* what,
                          base::MonotonicTime deadline) const {
    if (code == EINTR) return base::OkStatus();
    if (code != EAGAIN) return SystemError(what, code);
    return Await(events, deadline);
  }

  // What SSL_get_error and errno said.
  base::Status AwaitTls(int error, int code, const char* what, base::MonotonicTime deadline) const {
    switch (error) {
      case SSL_ERROR_WANT_READ:
        return Await(POLLIN, deadline);
      case SSL_ERROR_WANT_WRITE:
        return Await(POLLOUT, deadline);
      case SSL_ERROR_SYSCALL:
        return code == 0 ? base::UnavailableError(fmt::format("{}: it was closed", what))
                         : SystemError(what, code);
      default:
        return TlsError(what);
    }
  }

  const int interrupt_;
  int socket_ = -1;
  std::unique_ptr<SSL, Deleter> ssl_;
  std::array<char, size_t{16} << 10> buffer_;
};

DirectConnection::DirectConnection(std::string url, const Options& options)
    : url_(std::move(url)), options_(options), interrupt_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

DirectConnection::~DirectConnection() {
  transport_.reset();
  if (interrupt_ >= 0) close(interrupt_);
}

void DirectConnection::Interrupt() {
  eventfd_write(interrupt_, 1);
}

base::Status DirectConnection::Dial(base::MonotonicTime deadline) {
  const Address address = Parse(url_);
  const auto until = std::min(deadline, steady_clock::now() + options_.dial_timeout);
  auto transport = std::make_unique<Transport>(interrupt_);
  STRATA_RETURN_IF_ERROR(transport->Connect(address, until));
  if (address.scheme == "https")
    STRATA_RETURN_IF_ERROR(transport->Secure(options_, address.host, until));
  transport_ = std::move(transport);
  session_ = std::make_unique<UnarySession>(address.scheme == "https" ? "https" : "http",
                                            address.authority);
  return base::OkStatus();
}

base::StatusOr<std::string> DirectConnection::Call(const UnaryRequest& request,
                                                   base::MonotonicTime deadline) {
  const bool reused = session_ != nullptr && session_->reusable();
  dialled_ = !reused;
  if (!reused) STRATA_RETURN_IF_ERROR(Dial(deadline));
  auto answer = TryCall(request, deadline);
  // A connection that has been quiet may have ended meanwhile.
  if (!reused || session_->answering() || !absl::IsUnavailable(answer.status())) return answer;
  dialled_ = true;
  STRATA_RETURN_IF_ERROR(Dial(deadline));
  return TryCall(request, deadline);
}

base::StatusOr<std::string> DirectConnection::TryCall(const UnaryRequest& request,
                                                      base::MonotonicTime deadline) {
  session_->Start(request, Left(deadline));
  if (base::Status status = Exchange(deadline); !status.ok()) {
    // The next call begins anew: this one may be what the connection hangs in.
    session_->ReceiveEnd();
    return status;
  }
  return session_->TakeAnswer();
}

base::Status DirectConnection::Exchange(base::MonotonicTime deadline) {
  // With it goes what the last bytes of the call before asked for, acknowledgements of pings
  // mostly.
  const auto send = [&] { return transport_->Write(session_->Produce(), deadline); };
  STRATA_RETURN_IF_ERROR(send());
  while (!session_->done()) {
    STRATA_ASSIGN_OR_RETURN(const std::string_view bytes, transport_->Read(deadline, send));
    if (bytes.empty()) {
      session_->ReceiveEnd();
    } else {
      session_->Receive(bytes);
    }
  }
  return base::OkStatus();
}

}  // namespace strata::client
