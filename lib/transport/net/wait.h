// Waiting for a socket, with a deadline and an end from outside.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <chrono>

#include "lib/base/clock.h"
#include "lib/base/status.h"

namespace strata::net {

// Set by any thread; waited for by one, beside its socket.
class Interruption {
 public:
  Interruption() = default;
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  ~Interruption() {
    if (fd_ >= 0) close(fd_);
  }

  // The wait that goes on, or else the next one, ends.
  void Set() const { eventfd_write(fd_, 1); }
  void Clear() const {
    eventfd_t count = 0;
    eventfd_read(fd_, &count);
  }
  // Readable once it is set. Negative if the process has no descriptor left: then nothing
  // interrupts.
  int fd() const { return fd_; }

 private:
  const int fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
};

// Not negative, and rounded up: a wait of so long isn't short of the deadline.
std::chrono::milliseconds Left(base::MonotonicTime deadline);

// Until `socket` has one of `events`. DeadlineExceeded, whatever it has by then, or Cancelled by
// `interruption`.
base::Status AwaitSocket(int socket, short events, const Interruption& interruption,
                         base::MonotonicTime deadline);

base::Status SystemError(const char* what, int code);

}  // namespace strata::net
