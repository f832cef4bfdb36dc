#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "storage/client/watch.h"

namespace strata::reflector {

// Signs of life of several streams. Each is asked once, and may answer as late as it likes: on a
// long way an answer comes long after others were waited for.
class Signs {
 public:
  // Whether the stream's process, if it isn't null, has shown by then that it lives.
  bool Await(std::shared_ptr<client::Watch> stream, base::MonotonicTime deadline) {
    if (stream == nullptr) return false;
    auto asked = std::find_if(asked_.begin(), asked_.end(),
                              [&](const auto& one) { return one.stream == stream; });
    if (asked == asked_.end()) {
      const uint64_t sign = stream->Poke();
      asked = asked_.insert(asked_.end(), {std::move(stream), sign});
    }
    return asked->stream->AwaitSign(asked->sign, deadline);
  }

 private:
  struct Asked {
    std::shared_ptr<client::Watch> stream;
    uint64_t sign;
  };
  std::vector<Asked> asked_;
};

}  // namespace strata::reflector
