// Names to addresses, by the system's resolver, but with a deadline.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/transport/net/address.h"
#include "lib/transport/net/wait.h"

namespace strata::net {

struct SocketAddress {
  sockaddr_storage bytes{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&bytes); }
  bool operator==(const SocketAddress& other) const {
    return size == other.size && std::memcmp(&bytes, &other.bytes, size) == 0;
  }
};

// At least one, in the order in which to try them. What is an address already is never asked for;
// a name is, on a thread of its own for all who ask for it meanwhile, which may outlast the
// deadline by what /etc/resolv.conf allows (getaddrinfo can't be stopped).
base::StatusOr<std::vector<SocketAddress>> Resolve(const Address& address,
                                                   const Interruption& interruption,
                                                   base::MonotonicTime deadline);

}  // namespace strata::net
