// One request that waits for its answer.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "lib/base/shares.h"
#include "lib/transport/http/message.h"

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

  // Before the response, from any thread: counts its body among what clients haven't read yet, for
  // as long as it is held, as `user`'s share of that. False if there is no room for it; then
  // another answer has to say so.
  virtual bool Admit(Response& response, std::string_view user, base::Shares::Claim claim) = 0;

  // On the connection's thread: until it is closed the connection counts as `user`'s, of those that
  // there may be, if nobody has asked over it before, and if it isn't a proxy's, which has
  // everybody's. False if there is none for him; then the answer should close it.
  virtual bool Occupy(std::string_view user, base::Shares::Claim claim) = 0;

  // Runs `task` on the connection's thread, from any thread: after what that thread does now, in
  // the order posted. The connection may be gone by then; a response is dropped then.
  virtual void Post(std::function<void()> task) = 0;

  // After a response whose body flows, from any thread and as often as one likes: its Next has more
  // than kLater to say, and is asked when the client can take it.
  virtual void Resume() = 0;
  // The same, where the rest won't come: as kBroken, but also while the client takes nothing.
  virtual void Abandon() = 0;

  // On the connection's thread: calls `gone` there, at most once, if the client goes before the
  // response has reached that thread: the stream was reset, or the connection is closed, broken or
  // cut by us. (Who goes later is told by the end of the body's life.) It is called before this
  // returns if the client has gone already. A later call replaces an earlier one. `gone` may
  // respond and destroy this, and throws nothing. A server that stops calls it on the thread that
  // stops it, when the connection's has ended.
  //
  // Who only won't send more is still there: an HTTP/1.1 client that has closed its side, an HTTP/2
  // one that said GOAWAY. The end of what an HTTP/2 client sends is its end, as for Go's server
  // (x/net/http2 processFrameFromReader): it could neither confirm nor open a window any more.
  virtual void OnGone(std::function<void()> gone) = 0;
};

// Called on the connection's thread; must not block.
using Handler = std::function<void(Request request, std::unique_ptr<Exchange> exchange)>;

}  // namespace strata::http
