#include "lib/transport/net/client_connection.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

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

// What is received at once, of several records.
constexpr size_t kReceivedBytes = size_t{32} << 10;
// Encrypted at once.
constexpr size_t kWriteBytes = size_t{64} << 10;
// In one attempt to read: records without data, new session's tickets say, may come without end.
constexpr int kMostFills = 8;
// Of records that the socket doesn't take; a peer that makes them more isn't listened to.
constexpr size_t kMostUnsent = 2 * kWriteBytes;

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
  if (context.context == nullptr) return base::InternalError("TLS: no memory");
  in6_addr ignored;
  // An address is no server's name (RFC 6066 §3).
  const bool named = inet_pton(AF_INET, host.c_str(), &ignored) != 1 &&
                     inet_pton(AF_INET6, host.c_str(), &ignored) != 1;
  const std::string& wanted = tls_->options->protocol;
  stream_.emplace(*context.context, ClientHello{named ? host : "", wanted}, unsent_);
  received_.resize(kReceivedBytes);
  for (;;) {
    const TlsStream::Result result = stream_->Handshake();
    // The alert too, where it fails.
    base::Status sent;
    while (sent.ok()) {
      const auto all = Flush("TLS");
      sent = all.status();
      if (sent.ok() && *all) break;
      if (sent.ok()) sent = AwaitSocket(socket_, POLLOUT, interruption_, deadline);
    }
    if (const base::Status& verdict = context.verdict->status; !verdict.ok()) {
      return base::UnavailableError(
          fmt::format("TLS: it isn't trusted by {}: {}", tls_->roots_from, base::Message(verdict)));
    }
    if (result == TlsStream::Result::kFailed) return TlsError("TLS");
    if (result == TlsStream::Result::kClosed) return Ended("TLS", 0);
    STRATA_RETURN_IF_ERROR(sent);
    if (result == TlsStream::Result::kOk) break;
    // Also where more is there already: OpenSSL skips what says nothing, however much it is.
    STRATA_RETURN_IF_ERROR(AwaitSocket(socket_, POLLIN, interruption_, deadline));
    STRATA_RETURN_IF_ERROR(Fill("TLS").status());
  }
  if (stream_->Alpn() == wanted) return base::OkStatus();
  return base::UnavailableError(
      fmt::format("TLS: the server speaks no {}: that is no {}", wanted, tls_->options->server));
}

base::StatusOr<bool> ClientConnection::Flush(const char* what) {
  while (!unsent_.empty()) {
    const ssize_t sent = send(socket_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (sent < 0) return Ended(what, errno);
    unsent_.erase(0, static_cast<size_t>(sent));
  }
  return true;
}

base::StatusOr<bool> ClientConnection::Fill(const char* what) {
  const ssize_t got = recv(socket_, received_.data(), received_.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got <= 0) return Ended(what, got == 0 ? 0 : errno);
  stream_->Feed({received_.data(), static_cast<size_t>(got)});
  return true;
}

base::Status ClientConnection::Ended(const char* what, int code) const {
  return base::UnavailableError(
      fmt::format("{}: {}{}", what, code == 0 ? "it was closed" : std::strerror(code),
                  stream_->secured() ? "" : ": does it speak TLS at all, or is it http://?"));
}

base::Status ClientConnection::TlsError(const char* what) const {
  const unsigned long first = stream_->code();
  const int reason = ERR_GET_REASON(first);
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
  if (stream_.has_value()) return TryReadTls(bytes, size, events);
  const ssize_t got = recv(socket_, bytes, size, 0);
  if (got > 0) heard_ = true;
  if (got > 0) return static_cast<size_t>(got);
  if (got == 0) return base::OutOfRangeError("it was closed");
  if (errno == EAGAIN || errno == EINTR) return 0;
  return SystemError("reading", errno);
}

base::StatusOr<size_t> ClientConnection::TryReadTls(char* bytes, size_t size, short& events) {
  for (int fills = 0;; ++fills) {
    size_t got = 0;
    switch (stream_->Read({bytes, size}, got)) {
      case TlsStream::Result::kOk:
        heard_ = true;
        return got;
      case TlsStream::Result::kClosed:
        return base::OutOfRangeError("it was closed");
      case TlsStream::Result::kFailed:
        return TlsError("reading");
      case TlsStream::Result::kWantInput:
        break;
    }
    // What the peer asks for may have to be answered: new keys.
    // A socket that takes no more may still have something to say.
    if (!Flush("reading").ok()) unsent_.clear();
    if (unsent_.size() > kMostUnsent) {
      events = POLLOUT;
      return 0;
    }
    if (fills == kMostFills) return 0;
    STRATA_ASSIGN_OR_RETURN(const bool came, Fill("reading"));
    if (!came) return 0;
  }
}

base::StatusOr<size_t> ClientConnection::TryWrite(const char* bytes, size_t size, short& events) {
  events = POLLOUT;
  if (stream_.has_value()) return TryWriteTls(bytes, size);
  const ssize_t sent = send(socket_, bytes, size, MSG_NOSIGNAL);
  if (sent > 0) return static_cast<size_t>(sent);
  if (errno == EAGAIN || errno == EINTR) return 0;
  return SystemError("writing", errno);
}

base::StatusOr<size_t> ClientConnection::TryWriteTls(const char* bytes, size_t size) {
  for (;;) {
    const auto all = Flush("writing");
    if (!all.ok()) return LastWords(all.status());
    if (!*all) return 0;
    if (encrypted_ > 0) return std::exchange(encrypted_, 0);
    const std::string_view part(bytes, std::min(size, kWriteBytes));
    if (stream_->Write(part) != TlsStream::Result::kOk) return TlsError("writing");
    encrypted_ = part.size();
  }
}

base::Status ClientConnection::LastWords(const base::Status& error) {
  char byte = 0;
  short events = 0;
  unsent_.clear();
  const auto said = TryRead(&byte, 1, events);
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

base::StatusOr<std::string_view> ClientConnection::Read(base::MonotonicTime deadline) {
  for (;;) {
    short events = 0;
    const auto got = TryRead(buffer_.data(), buffer_.size(), events);
    if (absl::IsOutOfRange(got.status())) return std::string_view();
    if (!got.ok()) return got.status();
    if (*got > 0) return std::string_view(buffer_.data(), *got);
    STRATA_RETURN_IF_ERROR(AwaitSocket(socket_, events, interruption_, deadline));
  }
}

}  // namespace strata::net
