// Where a server is that is to be dialled.
#pragma once

#include <string>

namespace strata::net {

struct Address {
  bool tls = false;
  bool unix_socket = false;
  std::string host;       // without brackets; of a unix socket the path
  std::string port;       // a number; of a unix socket empty
  std::string authority;  // for HTTP/2
};

}  // namespace strata::net
