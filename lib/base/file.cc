#include "lib/base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

namespace strata::base {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Regular files are always ready. Of a pipe or a terminal nobody knows when something comes.
bool IsReady(int fd, steady_clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    pollfd wanted{.fd = fd, .events = POLLIN, .revents = 0};
    const int n = poll(&wanted, 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
    if (n >= 0 || errno != EINTR) return n > 0;
  }
}

}  // namespace

StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  // Otherwise opening a named pipe waits until somebody else opens it.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return NotFoundError(fmt::format("{}: {}", path, std::strerror(errno)));
  const auto fail = [&](const char* why) {
    close(fd);
    return UnavailableError(fmt::format("{}: {}", path, why));
  };
  const auto deadline = steady_clock::now() + kLongestRead;
  std::string content;
  char buffer[64 << 10];
  for (;;) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      if (!IsReady(fd, deadline)) return fail("it is no regular file, and nothing comes from it");
      continue;
    }
    if (n < 0) return fail(std::strerror(errno));
    if (content.size() + static_cast<size_t>(n) > max_bytes) return fail(std::strerror(EFBIG));
    if (n == 0) break;
    content.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  return content;
}

std::vector<std::filesystem::directory_entry> ListFolder(const std::filesystem::path& path,
                                                         std::error_code& error) {
  std::vector<std::filesystem::directory_entry> found;
  for (std::filesystem::directory_iterator at(path, error), end; !error && at != end;
       at.increment(error))
    found.push_back(*at);
  return found;
}

}  // namespace strata::base
