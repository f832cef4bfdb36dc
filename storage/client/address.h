// Where an endpoint is: a URL of --etcd-servers in its parts.
#pragma once

#include <string>

#include "lib/base/status.h"

namespace strata::client {

struct Address {
  bool tls = false;
  bool unix_socket = false;
  std::string host;       // without brackets; of a unix socket the path
  std::string port;       // a number; of a unix socket empty
  std::string authority;  // for HTTP/2
};

// http, https, unix, unixs (clientv3 internal/endpoint). What follows the port is dropped, as
// there. The error names the flag.
base::StatusOr<Address> ParseAddress(const std::string& url);

}  // namespace strata::client
