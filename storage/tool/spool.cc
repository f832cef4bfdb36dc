#include "storage/tool/spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace strata::tool {
namespace {

// Once the file exists, memory holds only a write's worth.
constexpr size_t kWriteSize = 1 << 20;

base::Status FileError(std::string_view what) {
  return base::ResourceExhaustedError(fmt::format(
      "temporary file: {}: {} (set TMPDIR to a directory with room)", what, std::strerror(errno)));
}

}  // namespace

Spool::~Spool() {
  if (mapping_ != nullptr) munmap(mapping_, spilled_);
  if (fd_ >= 0) close(fd_);
}

base::Status Spool::Append(std::string_view bytes) {
  memory_.append(bytes);
  if (memory_.size() > (fd_ < 0 ? memory_limit_ : kWriteSize)) return Spill();
  return base::OkStatus();
}

base::Status Spool::Spill() {
  if (fd_ < 0) {
    const char* directory = std::getenv("TMPDIR");
    std::string path = fmt::format("{}/strata-XXXXXX",
                                   directory != nullptr && *directory != 0 ? directory : "/tmp");
    fd_ = mkostemp(path.data(), O_CLOEXEC);
    if (fd_ < 0) return FileError(path);
    unlink(path.c_str());
  }
  std::string_view rest = memory_;
  while (!rest.empty()) {
    const ssize_t written = write(fd_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError("write");
    rest.remove_prefix(static_cast<size_t>(written));
  }
  spilled_ += memory_.size();
  memory_.clear();
  return base::OkStatus();
}

base::StatusOr<std::string_view> Spool::View() {
  if (fd_ < 0) return std::string_view(memory_);
  if (!memory_.empty()) STRATA_RETURN_IF_ERROR(Spill());
  if (mapping_ == nullptr) {
    void* mapping = mmap(nullptr, spilled_, PROT_READ, MAP_PRIVATE, fd_, 0);
    if (mapping == MAP_FAILED) return FileError("mmap");
    mapping_ = mapping;
  }
  return std::string_view(static_cast<const char*>(mapping_), spilled_);
}

}  // namespace strata::tool
