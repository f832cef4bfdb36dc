#include "storage/rpc/memory_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace strata::rpc {
namespace {

bool WriteAll(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t n = write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    content.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

base::Status MemoryFile::Put(std::string_view content) {
  const int made = memfd_create("strata", MFD_CLOEXEC);
  const timespec when[2] = {{.tv_sec = modified_ + 1, .tv_nsec = 0},
                            {.tv_sec = modified_ + 1, .tv_nsec = 0}};
  const bool written = made >= 0 && WriteAll(made, content) && futimens(made, when) == 0 &&
                       (fd_ < 0 || dup3(made, fd_, O_CLOEXEC) == fd_);
  const int error = errno;
  if (written && fd_ < 0) {
    fd_ = made;
  } else if (made >= 0) {
    close(made);
  }
  if (!written)
    return base::UnavailableError(fmt::format("a file in memory: {}", std::strerror(error)));
  ++modified_;
  return base::OkStatus();
}

std::string MemoryFile::path() const {
  return fmt::format("/proc/self/fd/{}", fd_);
}

}  // namespace strata::rpc
