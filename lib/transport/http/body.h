// A response's body that is made while it is sent.
#pragma once

#include <cstddef>
#include <span>

namespace strata::http {

// Pulled by the session when its client can take more, so a slow reader costs what one piece is and
// holds up its own body alone. Destroyed when the client has it whole or nobody wants the rest any
// more, whichever is first: that is how whoever works for it is told. Both on the connection's
// thread; where a server stops, destroyed by the thread that stops it when the connection's has
// ended.
class Body {
 public:
  virtual ~Body() = default;

  // What there is behind the bytes of one Next.
  enum class Rest {
    kMore,    // more at once
    kLater,   // nothing until Exchange::Resume
    kNone,    // that was all
    kBroken,  // what can't be had: HTTP/2 resets the stream, HTTP/1.1 ends the connection
  };
  struct Piece {
    size_t bytes = 0;  // written; with kMore at least one
    Rest rest = Rest::kMore;
  };

  // Writes what is next at the start of `buffer`, which isn't empty. Must not block or throw, nor
  // call Exchange::Resume or Abandon itself.
  virtual Piece Next(std::span<char> buffer) = 0;
};

}  // namespace strata::http
