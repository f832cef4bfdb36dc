// One step of the chain that every request passes.
#pragma once

#include <chrono>
#include <cstddef>

#include "lib/transport/http/message.h"

namespace strata::serving {

class ServedCall;

enum class Step {
  kGoOn,      // to the next filter
  kWait,      // the call goes on by itself (ServedCall::Await)
  kAnswered,  // nobody comes after this one
};

// What became of a request.
struct Outcome {
  int status;
  std::chrono::nanoseconds took;  // until the answer was made; of a body that flows, until its end
  size_t bytes;                   // of the body
};

// One for all requests, thread-safe: what it keeps of a request stands in the call. Which filters
// there are, and in what order, chain.cc says.
class Filter {
 public:
  virtual ~Filter() = default;

  // On the way in, on the connection's thread, which it must not block.
  virtual Step Apply(ServedCall& call) = 0;

  // On the way out, from the last filter to the first, by whoever answers, on any thread.
  // Adds to the head of an answer that is about to go.
  virtual void Begin(ServedCall& /*call*/, http::Response& /*response*/) {}
  // Once for every request that is answered: with the answer, before its head, or where a body
  // flows when that has ended.
  virtual void Finish(ServedCall& /*call*/, const Outcome& /*outcome*/) {}
};

}  // namespace strata::serving
