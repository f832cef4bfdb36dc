// One request that waits for its answer.
#pragma once

#include <functional>
#include <memory>

#include "server/http/message.h"

namespace strata::http {

// Owned by whoever will answer, on any thread. Destroying it unanswered resets the stream (HTTP/2)
// or closes the connection (HTTP/1.1). It stays valid, and answering stays harmless, after the
// client has gone.
class Exchange {
 public:
  virtual ~Exchange() = default;

  // Once, from any thread. On the connection's own thread the response is written in this turn of
  // its loop.
  virtual void Respond(Response response) = 0;

  // Runs `task` on the connection's thread, from any thread: after what that thread does now, in
  // the order posted. The connection may be gone by then; a response is dropped then.
  virtual void Post(std::function<void()> task) = 0;
};

// Called on the connection's thread; must not block.
using Handler = std::function<void(Request request, std::unique_ptr<Exchange> exchange)>;

}  // namespace strata::http
