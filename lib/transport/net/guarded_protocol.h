// A protocol whose faults are its connection's alone.
//
// What a protocol throws (an assertion of Boost's, a length or a position that a library took from
// the peer) would end the process. It ends the connection instead: the protocol is destroyed,
// nothing more is sent but what was, and the connection closes as one that is finished.
#pragma once

#include "lib/obs/log.h"
#include "lib/transport/net/options.h"
#include "lib/transport/net/protocol.h"

namespace strata::net {

// `logger` and `counts` outlive the connections.
ProtocolFactory Guarded(ProtocolFactory factory, const obs::Logger& logger, Counts& counts);

}  // namespace strata::net
