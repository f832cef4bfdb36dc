#pragma once

#include <cstdint>

namespace strata::base {

// A revision of the whole store (etcd rpc.proto ResponseHeader.revision): it grows by one with
// every write transaction. 0 means "none yet".
using Revision = int64_t;

}  // namespace strata::base
