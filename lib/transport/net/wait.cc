#include "lib/transport/net/wait.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace strata::net {

using std::chrono::milliseconds;

std::chrono::milliseconds Left(base::MonotonicTime deadline) {
  // As much as poll takes, and no overflow of "no deadline".
  constexpr std::chrono::hours kMost{24};
  const auto now = std::chrono::steady_clock::now();
  if (deadline <= now) return milliseconds(0);
  return std::chrono::ceil<milliseconds>(
      std::min<base::MonotonicTime::duration>(deadline - now, kMost));
}

base::Status SystemError(const char* what, int code) {
  return base::UnavailableError(fmt::format("{}: {}", what, std::strerror(code)));
}

base::Status AwaitSocket(int socket, short events, const Interruption& interruption,
                         base::MonotonicTime deadline) {
  for (;;) {
    std::array<pollfd, 2> polled = {pollfd{socket, events, 0},
                                    pollfd{interruption.fd(), POLLIN, 0}};
    const int ready = poll(polled.data(), polled.size(), static_cast<int>(Left(deadline).count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return SystemError("waiting", errno);
    if (ready > 0 && polled[1].revents != 0) {
      interruption.Clear();
      return base::CancelledError("interrupted");
    }
    // A peer that never pauses is ready whenever it is looked at.
    if (ready == 0 || Left(deadline).count() == 0)
      return base::DeadlineExceededError("no answer in time");
    return base::OkStatus();
  }
}

}  // namespace strata::net
