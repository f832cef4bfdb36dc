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

// One for all requests, thread-safe: what it keeps of a request stands in the call. chain.cc says
// which filters there are, and where each is asked, in what order.
class Filter {
 public:
  virtual ~Filter() = default;

  // On the way in, on the connection's thread, which it must not block.
  virtual Step Apply(ServedCall& /*call*/) { return Step::kGoOn; }

  // On the way out, by whoever answers, on any thread.
  // Adds to the head of an answer that is about to go, before what it has already.
  virtual void Begin(ServedCall& /*call*/, http::Response& /*response*/) {}
  // Once for every request that is answered: with the answer, before its head, or where a body
  // flows when that has ended.
  virtual void Finish(ServedCall& /*call*/, const Outcome& /*outcome*/) {}
};

}  // namespace strata::serving
