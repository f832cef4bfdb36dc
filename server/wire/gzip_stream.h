// A compressed answer that is made in pieces.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace strata::wire {

// RFC 1952, level 1, as one member: clients needn't know any more of it. For one thread at a time.
// Takes some 270 KB while it lives. Throws bad_alloc.
class GzipStream {
 public:
  GzipStream();
  ~GzipStream();

  // What can be sent of it by now; may be nothing.
  std::string Write(std::string_view bytes);
  // The rest, after which nothing is written.
  std::string Finish();

 private:
  struct State;
  std::string Deflate(std::string_view bytes, int flush);

  const std::unique_ptr<State> state_;
};

}  // namespace strata::wire
