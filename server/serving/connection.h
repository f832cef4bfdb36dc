// Joins net and http: a connection that speaks HTTP, and its requests as exchanges.
#pragma once

#include "lib/base/clock.h"
#include "lib/base/limit.h"
#include "lib/obs/metrics.h"
#include "lib/transport/http/exchange.h"
#include "lib/transport/http/session.h"
#include "lib/transport/net/protocol.h"

namespace strata::serving {

// For ConnectionOptions::answer_to_plaintext: what Go's server says.
inline constexpr const char* kAnswerToPlaintext =
    "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

// What users share.
struct SharedLimits {
  base::Limit unread_bytes;  // of bodies of answers that clients haven't read yet
  base::Limit connections;   // over which somebody has asked for something
};

// Speaks HTTP/2 where ALPN agreed on it, else HTTP/1.1, and gives each request to `handler`, which
// is called on the connection's thread by any of the io threads. `clock` and `metrics` outlive the
// connections.
net::ProtocolFactory SpeakHttp(const http::SessionOptions& options, const SharedLimits& limits,
                               http::Handler handler, const base::Clock& clock,
                               obs::Metrics& metrics);

}  // namespace strata::serving
