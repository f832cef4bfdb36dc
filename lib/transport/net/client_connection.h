// A connection that we dial, as bytes: a socket, with TLS or without. One place dials, judges and
// says what is wrong. Neither proxies nor anything else of the environment is looked at.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/transport/net/address.h"
#include "lib/transport/net/client_credentials.h"
#include "lib/transport/net/tls_stream.h"
#include "lib/transport/net/wait.h"

namespace strata::net {

// For one thread. Never blocks but in waits, which `interruption` ends; who doesn't wait any more
// needn't keep it.
class ClientConnection {
 public:
  // Each of the name's addresses in turn, until one takes the connection, and TLS if that is asked
  // for; `files` is null if not. The last one's error.
  static base::StatusOr<std::unique_ptr<ClientConnection>> Dial(const Address& address,
                                                                ClientCredentials* files,
                                                                const Interruption& interruption,
                                                                base::MonotonicTime deadline);
  ClientConnection(const ClientConnection&) = delete;
  ClientConnection& operator=(const ClientConnection&) = delete;
  ~ClientConnection();

  base::Status Write(std::string_view bytes, base::MonotonicTime deadline);
  // Some bytes, once there are any; none at the end.
  base::StatusOr<std::string_view> Read(base::MonotonicTime deadline);

  // For whoever waits for more than one thing: the socket, and one attempt to read or write. The
  // number of bytes; 0: not now, wait for `events`, and give what is to be written again. An error
  // is the end; OutOfRange: in order.
  int socket() const { return socket_; }
  base::StatusOr<size_t> TryRead(char* bytes, size_t size, short& events);
  base::StatusOr<size_t> TryWrite(const char* bytes, size_t size, short& events);
  // Hands the socket over; only without TLS.
  int Release() { return std::exchange(socket_, -1); }

  // `error`, of a connection that ended, with what it may have ended of if nothing ever came.
  base::Status Suspect(const base::Status& error) const;

 private:
  explicit ClientConnection(const Interruption& interruption) : interruption_(interruption) {}
  base::Status Connect(const sockaddr* name, socklen_t size, base::MonotonicTime deadline);
  base::Status Secure(const std::string& host, base::MonotonicTime deadline);
  // Sends records. Whether that were all of them.
  base::StatusOr<bool> Flush(const char* what);
  // Receives records; the stream has taken those before. False: there are none yet.
  base::StatusOr<bool> Fill(const char* what);
  base::StatusOr<size_t> TryReadTls(char* bytes, size_t size, short& events);
  base::StatusOr<size_t> TryWriteTls(const char* bytes, size_t size);
  // What the socket's end means; `code` is errno, 0 where it was closed.
  base::Status Ended(const char* what, int code) const;
  // What the stream's failure means.
  base::Status TlsError(const char* what) const;
  // `error`, of a write, or the alert that the other side sent before it closed.
  base::Status LastWords(const base::Status& error);

  const Interruption& interruption_;
  int socket_ = -1;
  bool heard_ = false;  // something has come since the handshake
  std::array<char, size_t{16} << 10> buffer_;

  // With TLS.
  std::optional<ClientTls> tls_;  // none: plain
  std::vector<char> received_;    // records
  std::string unsent_;            // records
  size_t encrypted_ = 0;          // bytes that were given to be written and are in unsent_
  std::optional<TlsStream> stream_;
};

}  // namespace strata::net
