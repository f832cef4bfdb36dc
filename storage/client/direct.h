// A connection of one thread's own, for a call that is made all the time: the calling thread writes
// and reads the socket itself. gRPC's client hands each call to threads of its own and back, 130 µs
// of CPU and three wake-ups; this takes a fifth of that (docs/performance.md).
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/transport/net/client_connection.h"
#include "lib/transport/net/client_credentials.h"
#include "storage/client/address.h"
#include "storage/client/patience.h"
#include "storage/client/unary_session.h"

namespace strata::client {

// One call at a time; Interrupt by any thread.
class DirectConnection {
 public:
  // `files`: for an address with TLS; otherwise null. Nothing is dialled yet.
  DirectConnection(net::Address address, net::ClientCredentials* files, Patience::Bounds patience);
  DirectConnection(const DirectConnection&) = delete;
  DirectConnection& operator=(const DirectConnection&) = delete;

  // The answer's message. Dials if there is no connection; where the one there is turns out to be
  // dead before anything came back, once more on a new one: so only for calls that may be made
  // twice. Unavailable, DeadlineExceeded, Cancelled by Interrupt, or what the server says.
  // On a connection it waits no longer than `answer_within`.
  base::StatusOr<std::string> Call(const UnaryRequest& request, base::MonotonicTime deadline,
                                   Patience::Duration answer_within = Patience::Duration::max());

  // Whether a connection was made since this was asked before.
  bool TakeDialled() { return std::exchange(dialled_, false); }

  // Ends the call that runs, if one does, and the next one otherwise.
  void Interrupt();

 private:
  base::Status Dial(base::MonotonicTime deadline);
  base::StatusOr<std::string> TryCall(const UnaryRequest& request, base::MonotonicTime deadline);
  base::Status Exchange(base::MonotonicTime deadline);

  const net::Address address_;
  net::ClientCredentials* const files_;
  Patience patience_;  // for dialling
  const net::Interruption interruption_;
  bool dialled_ = false;
  std::unique_ptr<net::ClientConnection> transport_;
  std::unique_ptr<UnarySession> session_;
};

}  // namespace strata::client
