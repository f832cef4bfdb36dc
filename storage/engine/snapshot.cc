#include "storage/engine/snapshot.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace strata::engine {
namespace {

base::Status Failed(const char* what) {
  return base::UnavailableError(fmt::format("{} a snapshot: {}", what, std::strerror(errno)));
}

}  // namespace

base::StatusOr<std::unique_ptr<Snapshot>> Snapshot::Create(const std::string& directory) {
  const int file = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) return Failed("making");
  return std::unique_ptr<Snapshot>(new Snapshot(file));
}

Snapshot::~Snapshot() {
  close(file_);
}

base::StatusOr<int64_t> Snapshot::size() const {
  struct stat status {};
  if (fstat(file_, &status) != 0) return Failed("reading");
  return static_cast<int64_t>(status.st_size);
}

base::StatusOr<std::string> Snapshot::Read(int64_t offset, size_t most) const {
  std::string bytes(most, '\0');
  const ssize_t got = pread(file_, bytes.data(), most, offset);
  if (got < 0) return Failed("reading");
  bytes.resize(static_cast<size_t>(got));
  return bytes;
}

}  // namespace strata::engine
