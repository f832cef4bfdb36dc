// The connections that are open, so that there are only so many, and nobody has all of them.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <sys/socket.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "lib/base/shares.h"

namespace strata::rpc {

// gRPC doesn't say when a connection ends. So each is known by its descriptor and by the cookie
// that the kernel gave its socket, which no other ever has: it has ended when the two don't belong
// together any more, whoever closed it, and whatever has the number now. That is looked at where
// there is no room, for some at a time, others each time, and for all to count them. Thread-safe.
class Connections {
 public:
  // At most `most`, and fewer where the process would have no descriptors left for its files and
  // for probes.
  explicit Connections(size_t most);

  // Whether there is room for one more of that peer's address. Then it counts until it is closed.
  bool Admit(int socket, const sockaddr_storage& peer) ABSL_LOCKS_EXCLUDED(mu_);

  int64_t limit() const { return shares_.limit(); }
  int64_t open() ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t refused() const { return refused_.load(); }

 private:
  struct Connection {
    uint64_t cookie;
    base::Shares::Share share;
  };

  void DropEnded(size_t looks) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  base::Shares shares_;
  std::atomic<uint64_t> refused_ = 0;
  absl::Mutex mu_;
  std::vector<std::optional<Connection>> by_descriptor_ ABSL_GUARDED_BY(mu_);
  size_t next_look_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace strata::rpc
