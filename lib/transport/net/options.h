// What a server's connections may cost, and what is counted of them.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "lib/transport/net/protocol.h"

namespace strata::net {

struct ConnectionOptions {
  std::chrono::milliseconds handshake_timeout{10'000};
  // In each such time the peer has to take so many bytes a second of what waits for it, or all.
  std::chrono::milliseconds write_timeout{60'000};
  uint32_t min_read_rate = 500;
  // For the peer to read the last answer and close, once we have.
  std::chrono::milliseconds linger_timeout{1'000};
  // How late a deadline may be noticed.
  std::chrono::milliseconds tick{250};
  std::chrono::seconds tcp_keepalive{180};
  // Ciphertext made in one turn of the loop; what a connection may have waiting for its socket.
  size_t turn_bytes = 64 << 10;
  // What TLS may bring without bringing data (empty records), beside four times the data.
  size_t max_tls_overhead = 1 << 20;
  // So many are looked at for one that is idle, some 0.1 us each: whoever connects while
  // connections are full makes us look.
  size_t eviction_sample = 256;
  // Sent, in the clear, to a client that speaks without TLS. Empty: nothing.
  std::string answer_to_plaintext;
  // Asked once, when a client has shown a certificate. Null: all are strangers.
  std::function<Rank(const ConnectionInfo&)> rank_of;
};

// Shared with the metrics, which may be read when the server is gone.
struct Counts {
  std::atomic<uint64_t> accepted = 0;
  std::atomic<int64_t> open = 0;  // from accept to close
  std::atomic<int64_t> handshaking = 0, http2 = 0, http1 = 0;
  std::atomic<uint64_t> handshake_errors = 0;
  std::atomic<uint64_t> bytes_received = 0, bytes_sent = 0;  // on the wire
  std::atomic<uint64_t> rejected_over_limit = 0, accept_errors = 0;
  std::atomic<uint64_t> evicted = 0;  // who was idle, for others
  std::atomic<uint64_t> write_timeouts = 0, tls_floods = 0, faults = 0;
};

}  // namespace strata::net
