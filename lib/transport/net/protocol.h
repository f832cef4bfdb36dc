// What speaks on a connection. The seam between sockets and HTTP: net knows no more of a protocol
// than this.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/transport/net/executor.h"

namespace strata::net {

// One end of a connection, above TLS. All calls come from the connection's thread.
class Protocol {
 public:
  virtual ~Protocol() = default;

  virtual void Receive(std::string_view bytes, base::MonotonicTime now) = 0;
  // The peer won't send more.
  virtual void ReceiveEnd(base::MonotonicTime now) = 0;
  // Writes what is next to send, as much as there is and fits; 0 for nothing now.
  virtual size_t Produce(std::span<char> buffer, base::MonotonicTime now) = 0;
  // False stops reading until the connection is flushed again.
  virtual bool wants_input() const = 0;
  // What was received is too much for one turn: Receive, of nothing, goes on with it when others
  // have had theirs.
  virtual bool wants_turn() const = 0;
  // True once all is said: what was produced is sent, then the connection closes.
  virtual bool finished() const = 0;
  virtual void StartDrain(base::MonotonicTime now) = 0;
  virtual base::MonotonicTime next_deadline() const = 0;
  virtual void OnDeadline(base::MonotonicTime now) = 0;
  // Since when nothing has been asked; nothing while something is. Closed then, the connection
  // takes no answer with it.
  virtual std::optional<base::MonotonicTime> idle_since() const = 0;
  // Since when all that is left to do is the peer's, who lets nothing of his answers come, although
  // the socket would take it; nothing while a request is worked on.
  virtual std::optional<base::MonotonicTime> stalled_since() const = 0;
};

// What a connection is to its protocol. Valid as long as the protocol.
class Channel {
 public:
  // Produce will be called before the thread waits again. Needed after anything that happens
  // outside of the protocol's own methods.
  virtual void FlushSoon() = 0;
  virtual const std::shared_ptr<Executor>& executor() const = 0;

 protected:
  ~Channel() = default;
};

// Who a client is by his certificate: nobody who is known, a user, or a proxy that speaks for many.
enum class Rank { kStranger, kClient, kProxy };

struct ConnectionInfo {
  std::string peer_address;  // "192.0.2.1:5312", "[2001:db8::1]:5312"
  std::vector<std::string>
      certificate_chain;        // DER, leaf first, as presented and not verified; empty if none
  std::string alpn;             // "h2", "http/1.1", or empty if the client offered none
  Rank rank = Rank::kStranger;  // as ConnectionOptions::rank_of says
};

// Called on the connection's thread once TLS is established. `channel` outlives the protocol.
using ProtocolFactory = std::function<std::unique_ptr<Protocol>(
    ConnectionInfo info, Channel& channel, base::MonotonicTime now)>;

}  // namespace strata::net
