#include "lib/transport/net/client_connection.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "lib/transport/net/resolve.h"

namespace strata::net {
namespace {

using std::chrono::steady_clock;

// Of one address of several, at least (net/dial.go partialDeadline).
constexpr std::chrono::seconds kLeastShare{2};
constexpr std::string_view kPlainSuspicion = "does it want TLS, https://?";

std::string TlsSuspicion(const ClientTlsOptions& options) {
  return fmt::format("does it want a client certificate, {} and {}?", options.certificate.flag,
                     options.key.flag);
}

// Those by which a server says that it wants another certificate, or one at all (RFC 8446 §6.2).
bool IsAboutCertificates(int alert) {
  switch (alert) {
    case SSL_AD_HANDSHAKE_FAILURE:
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
      return true;
    default:
      return false;
  }
}

// OpenSSL's own BIO of a socket writes without MSG_NOSIGNAL, and a program that a closed connection
// may not end would have to ignore SIGPIPE.
class SocketBio {
 public:
  static BIO* Of(int socket) {
    static const BIO_METHOD* const kMethod = Method();
    BIO* const bio = BIO_new(kMethod);
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(socket)));  // NOLINT
    BIO_set_init(bio, 1);
    return bio;
  }

 private:
  static int Socket(BIO* bio) {
    return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio)));
  }
  static int Read(BIO* bio, char* bytes, int size) {
    BIO_clear_retry_flags(bio);
    const ssize_t got = recv(Socket(bio), bytes, static_cast<size_t>(size), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
    if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return static_cast<int>(got);
  }
  static int Write(BIO* bio, const char* bytes, int size) {
    BIO_clear_retry_flags(bio);
    const ssize_t sent = send(Socket(bio), bytes, static_cast<size_t>(size), MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
    return static_cast<int>(sent);
  }
  static long Control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }
  static BIO_METHOD* Method() {
    BIO_METHOD* const method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "socket");
    BIO_meth_set_read(method, Read);
    BIO_meth_set_write(method, Write);
    BIO_meth_set_ctrl(method, Control);
    return method;
  }
};

}  // namespace

base::StatusOr<std::unique_ptr<ClientConnection>> ClientConnection::Dial(
    const Address& address, ClientCredentials* files, const Interruption& interruption,
    base::MonotonicTime deadline) {
  STRATA_ASSIGN_OR_RETURN(const auto all, Resolve(address, interruption, deadline));
  base::Status status;
  for (size_t i = 0; i < all.size(); ++i) {
    std::unique_ptr<ClientConnection> transport(new ClientConnection(interruption));
    if (files != nullptr) transport->tls_ = files->Current();
    const auto now = steady_clock::now();
    const auto share = (deadline - now) / static_cast<int64_t>(all.size() - i);
    const auto until =
        std::min(deadline, now + std::max<steady_clock::duration>(share, kLeastShare));
    status = transport->Connect(all[i].get(), all[i].size, until);
    if (status.ok() && files != nullptr) status = transport->Secure(address.host, until);
    if (status.ok()) return transport;
    if (absl::IsCancelled(status)) break;
  }
  return status;
}

ClientConnection::~ClientConnection() {
  ssl_.reset();
  if (socket_ >= 0) close(socket_);
}

base::Status ClientConnection::Connect(const sockaddr* name, socklen_t size,
                                       base::MonotonicTime deadline) {
  socket_ = ::socket(name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return SystemError("connecting", errno);
  const int on = 1;
  if (name->sa_family != AF_UNIX) setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (connect(socket_, name, size) == 0) return base::OkStatus();
  if (errno != EINPROGRESS) return SystemError("connecting", errno);
  STRATA_RETURN_IF_ERROR(AwaitSocket(socket_, POLLOUT, interruption_, deadline));
  int failure = 0;
  socklen_t length = sizeof(failure);
  getsockopt(socket_, SOL_SOCKET, SO_ERROR, &failure, &length);
  return failure == 0 ? base::OkStatus() : SystemError("connecting", failure);
}

base::Status ClientConnection::Secure(const std::string& host, base::MonotonicTime deadline) {
  const ClientTls::Context context = tls_->For(host);
  ssl_.reset(SSL_new(context.context.get()));
  if (ssl_ == nullptr) return base::InternalError("TLS: no memory");
  const std::string& wanted = tls_->options->protocol;
  const std::string offer = static_cast<char>(wanted.size()) + wanted;
  SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(offer.data()),
                      static_cast<unsigned>(offer.size()));
  in6_addr ignored;
  // An address is no server's name (RFC 6066 §3).
  if (inet_pton(AF_INET, host.c_str(), &ignored) != 1 &&
      inet_pton(AF_INET6, host.c_str(), &ignored) != 1) {
    SSL_set_tlsext_host_name(ssl_.get(), host.c_str());
  }
  BIO* const bio = SocketBio::Of(socket_);
  SSL_set_bio(ssl_.get(), bio, bio);
  base::Status status;
  for (bool done = false; !done && status.ok();) {
    errno = 0;
    const int code = SSL_connect(ssl_.get());
    const int error = SSL_get_error(ssl_.get(), code);
    const int system = errno;
    if (code == 1) {
      done = true;
    } else if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
      status = AwaitSocket(socket_, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, interruption_,
                           deadline);
    } else if (const base::Status& verdict = context.verdict->status; !verdict.ok()) {
      ERR_clear_error();
      status = base::UnavailableError(
          fmt::format("TLS: it isn't trusted by {}: {}", tls_->roots_from, base::Message(verdict)));
    } else {
      status = TlsError("TLS", error, system);
    }
  }
  STRATA_RETURN_IF_ERROR(status);
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &protocol, &size);
  if (size == wanted.size()) return base::OkStatus();
  return base::UnavailableError(
      fmt::format("TLS: the server speaks no {}: that is no {}", wanted, tls_->options->server));
}

base::Status ClientConnection::TlsError(const char* what, int error, int code) const {
  const unsigned long first = ERR_peek_error();
  ERR_clear_error();
  const int reason = ERR_GET_REASON(first);
  const bool closed = (error == SSL_ERROR_SYSCALL && code == 0) || error == SSL_ERROR_ZERO_RETURN ||
                      reason == SSL_R_UNEXPECTED_EOF_WHILE_READING;
  const bool secured = SSL_is_init_finished(ssl_.get()) != 0;
  if (closed || (error == SSL_ERROR_SYSCALL && code != 0)) {
    const char* const how = closed ? "it was closed" : std::strerror(code);
    return base::UnavailableError(fmt::format(
        "{}: {}{}", what, how, secured ? "" : ": does it speak TLS at all, or is it http://?"));
  }
  if (const int alert = reason - SSL_AD_REASON_OFFSET;
      alert >= 0 && ERR_GET_LIB(first) == ERR_LIB_SSL) {
    const char* const known = ERR_reason_error_string(first);
    const std::string text = known != nullptr ? known : fmt::format("alert {}", alert);
    if (!IsAboutCertificates(alert))
      return base::UnavailableError(fmt::format("{}: it says \"{}\"", what, text));
    const ClientIdentity* const ours = tls_->identity.get();
    if (ours == nullptr) {
      return base::UnavailableError(
          fmt::format("{}: it says \"{}\": {}", what, text, TlsSuspicion(*tls_->options)));
    }
    return base::UnavailableError(
        fmt::format("{}: it says \"{}\" to our client certificate{}: {}", what, text,
                    ours->ends < std::time(nullptr) ? ", which has ended" : "", ours->text));
  }
  if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
      reason == SSL_R_PACKET_LENGTH_TOO_LONG) {
    return base::UnavailableError(
        fmt::format("{}: what answers there speaks no TLS: is it http://?", what));
  }
  const char* const text = ERR_reason_error_string(first);
  return base::UnavailableError(fmt::format("{}: {}", what, text != nullptr ? text : "it failed"));
}

base::Status ClientConnection::Suspect(const base::Status& error) const {
  if (heard_ || (tls_.has_value() && tls_->identity != nullptr)) return error;
  const std::string what =
      tls_.has_value() ? TlsSuspicion(*tls_->options) : std::string(kPlainSuspicion);
  if (base::Message(error).ends_with(what)) return error;
  return base::Error(error.code(), fmt::format("{}: {}", base::Message(error), what));
}

base::StatusOr<size_t> ClientConnection::TryRead(char* bytes, size_t size, short& events) {
  events = POLLIN;
  if (ssl_ == nullptr) {
    const ssize_t got = recv(socket_, bytes, size, 0);
    if (got > 0) heard_ = true;
    if (got > 0) return static_cast<size_t>(got);
    if (got == 0) return base::OutOfRangeError("it was closed");
    if (errno == EAGAIN || errno == EINTR) return 0;
    return SystemError("reading", errno);
  }
  errno = 0;
  const int got = SSL_read(ssl_.get(), bytes, static_cast<int>(size));
  if (got > 0) heard_ = true;
  if (got > 0) return static_cast<size_t>(got);
  const int code = errno;
  const int error = SSL_get_error(ssl_.get(), got);
  if (error == SSL_ERROR_WANT_WRITE) events = POLLOUT;
  if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ) return 0;
  if (error == SSL_ERROR_ZERO_RETURN) return base::OutOfRangeError("it was closed");
  return TlsError("reading", error, code);
}

base::StatusOr<size_t> ClientConnection::TryWrite(const char* bytes, size_t size, short& events) {
  events = POLLOUT;
  if (ssl_ == nullptr) {
    const ssize_t sent = send(socket_, bytes, size, MSG_NOSIGNAL);
    if (sent > 0) return static_cast<size_t>(sent);
    if (errno == EAGAIN || errno == EINTR) return 0;
    return SystemError("writing", errno);
  }
  errno = 0;
  const int sent = SSL_write(ssl_.get(), bytes, static_cast<int>(size));
  if (sent > 0) return static_cast<size_t>(sent);
  const int code = errno;
  const int error = SSL_get_error(ssl_.get(), sent);
  if (error == SSL_ERROR_WANT_READ) events = POLLIN;
  if (error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ) return 0;
  return LastWords(TlsError("writing", error, code));
}

base::Status ClientConnection::LastWords(const base::Status& error) {
  char byte = 0;
  short events = 0;
  const auto said = ssl_ == nullptr ? base::StatusOr<size_t>(0) : TryRead(&byte, 1, events);
  return said.ok() || absl::IsOutOfRange(said.status()) ? error : said.status();
}

base::Status ClientConnection::Write(std::string_view bytes, base::MonotonicTime deadline) {
  while (!bytes.empty()) {
    short events = 0;
    STRATA_ASSIGN_OR_RETURN(const size_t sent, TryWrite(bytes.data(), bytes.size(), events));
    bytes.remove_prefix(sent);
    if (sent == 0) STRATA_RETURN_IF_ERROR(AwaitSocket(socket_, events, interruption_, deadline));
  }
  return base::OkStatus();
}

base::StatusOr<std::string_view> ClientConnection::Read(
    base::MonotonicTime deadline, absl::FunctionRef<base::Status()> before_waiting) {
  for (;;) {
    short events = 0;
    const auto got = TryRead(buffer_.data(), buffer_.size(), events);
    if (absl::IsOutOfRange(got.status())) return std::string_view();
    if (!got.ok()) return got.status();
    if (*got > 0) return std::string_view(buffer_.data(), *got);
    STRATA_RETURN_IF_ERROR(before_waiting());
    STRATA_RETURN_IF_ERROR(AwaitSocket(socket_, events, interruption_, deadline));
  }
}

}  // namespace strata::net
