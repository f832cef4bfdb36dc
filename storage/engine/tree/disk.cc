#include "storage/engine/tree/disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace strata::engine::tree {

base::Status SystemError(std::string_view what) {
  const int code = errno;
  const auto message = fmt::format("{}: {}", what, std::strerror(code));
  return code == EACCES || code == EPERM || code == EROFS ? base::PermissionDeniedError(message)
                                                          : base::FailedPreconditionError(message);
}

bool IsDiskFull(int code) {
  return code == ENOSPC || code == EDQUOT || code == EFBIG;
}

base::Status SyncDirectory(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SystemError(path);
  const int code = fsync(fd);
  base::Status status = code == 0 ? base::OkStatus() : SystemError(path);
  close(fd);
  return status;
}

}  // namespace strata::engine::tree
