// A URL of --etcd-servers in its parts.
#pragma once

#include <string>

#include "lib/base/status.h"
#include "lib/transport/net/address.h"

namespace strata::client {

// http, https, unix, unixs (clientv3 internal/endpoint). What follows the port is dropped, as
// there. The error names the flag.
base::StatusOr<net::Address> ParseAddress(const std::string& url);

}  // namespace strata::client
