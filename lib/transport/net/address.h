// Where a server is that is to be dialled.
#pragma once

#include <sys/un.h>

#include <cstddef>
#include <string>

namespace strata::net {

// Bytes of a unix socket's path, at most.
constexpr size_t kMaxSocketPath = sizeof(sockaddr_un::sun_path) - 1;

struct Address {
  bool tls = false;
  bool unix_socket = false;
  std::string host;       // without brackets; of a unix socket the path
  std::string port;       // a number; of a unix socket empty
  std::string authority;  // for HTTP/2
};

}  // namespace strata::net
