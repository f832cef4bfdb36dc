// The bodies of answers that clients haven't read yet: how many bytes they are over all
// connections, and how many they may be, of one user and of all.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>

#include <memory>
#include <string>
#include <string_view>

#include "lib/base/clock.h"
#include "lib/base/limit.h"
#include "lib/base/mutex.h"
#include "lib/base/shares.h"
#include "lib/obs/metrics.h"
#include "server/serving/slow_readers.h"

namespace strata::serving {

// Thread-safe. A large body is counted once, however many answers it is the body of; of a small one
// each answer counts, for that needs no lock.
class UnreadAnswers {
 public:
  using Body = std::shared_ptr<const std::string>;

  UnreadAnswers(const base::Limit& max_bytes, const base::Clock& clock, obs::Metrics& metrics);

  // `body`, counted as `user`'s until nobody holds the result any more. Null if there is no room
  // for it; then the slowest reader has to go. A body larger than all the room is let through while
  // no other large one is held, and a very small one, such as that says so, always. While memory is
  // short nothing but small ones finds room beyond a sixteenth of it.
  Body Admit(Body body, std::string_view user, base::Shares::Claim claim);

  SlowReaders& readers() { return *readers_; }

 private:
  struct Books;
  struct Counted;

  const std::shared_ptr<Books> books_;
  const std::shared_ptr<SlowReaders> readers_;
};

}  // namespace strata::serving
