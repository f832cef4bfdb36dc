#include "storage/engine/data_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "lib/base/file.h"
#include "storage/engine/tree/disk.h"

namespace strata::engine {
namespace {

namespace fs = std::filesystem;

// Whose process id the lock file holds, for an error message.
std::string Holder(int lock) {
  char text[32];
  const ssize_t size = pread(lock, text, sizeof(text), 0);
  if (size <= 0) return "another process";
  const std::string_view line(text, static_cast<size_t>(size));
  return fmt::format("process {}", line.substr(0, line.find_first_not_of("0123456789")));
}

// In place of whose it was, whose blocks the file has: on a full disk there are no others. For
// Holder, which can do without.
void NoteHolder(int lock) {
  const std::string pid = fmt::format("{}\n", getpid());
  const bool written = pwrite(lock, pid.data(), pid.size(), 0) == static_cast<ssize_t>(pid.size());
  [[maybe_unused]] const int cut = ftruncate(lock, written ? static_cast<off_t>(pid.size()) : 0);
}

// By what the directories of others are known.
struct Other {
  const char* entry;
  const char* what;
};
constexpr Other kOthers[] = {
    {"member",
     "is an etcd's directory: save a snapshot of that etcd with `etcdctl snapshot save`, and "
     "`strata-storage restore` it into a directory of its own"},
    {"snap",
     "is a part of an etcd's directory: save a snapshot of that etcd with `etcdctl snapshot save`, "
     "and `strata-storage restore` it into a directory of its own"},
    {"state.db", "is kine's directory: give one of its own, and `dump` and `load` the records"},
    {"PG_VERSION", "is a PostgreSQL's directory: give one of its own"},
    {"data.mdb", "is another program's LMDB directory: give one of its own"},
    {kRestoring,
     "holds a restore that was cut off: remove what is in it, and restore the snapshot again"},
};

}  // namespace

base::Status DataDir::Check(const std::string& path, bool may_make) {
  std::error_code error;
  if (fs::exists(fs::path(path) / kStoreFile, error)) return base::OkStatus();
  for (const Other& other : kOthers) {
    if (fs::exists(fs::path(path) / other.entry, error))
      return base::FailedPreconditionError(
          fmt::format("{} {} ({} is in it)", path, other.what, other.entry));
  }
  for (const auto& entry : base::ListFolder(path, error)) {
    if (fs::exists(entry.path() / kStoreFile, error)) {
      return base::FailedPreconditionError(
          fmt::format("{} holds no store, but {} does: give that", path, entry.path().string()));
    }
  }
  if (may_make) return base::OkStatus();
  return base::NotFoundError(fmt::format("{} holds no store: there is no {}", path,
                                         (fs::path(path) / kStoreFile).string()));
}

base::StatusOr<std::unique_ptr<DataDir>> DataDir::Hold(const std::string& path) {
  if (path.empty()) return base::InvalidArgumentError("the data directory's name is empty");
  if (mkdir(path.c_str(), 0700) == 0) {
    STRATA_RETURN_IF_ERROR(tree::SyncDirectory(path + "/.."));
  } else if (errno != EEXIST) {
    return tree::SystemError(fmt::format("making {}", path));
  }
  struct stat dir {};
  if (stat(path.c_str(), &dir) != 0) return tree::SystemError(path);
  if (!S_ISDIR(dir.st_mode)) {
    return base::FailedPreconditionError(fmt::format("{} is not a directory", path));
  }

  const std::string name = path + "/lock";
  int lock = open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  // Who only reads can hold it where nothing can be written any more.
  if (const int why = errno; lock < 0) {
    lock = open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    errno = why;
  }
  if (lock < 0) return tree::SystemError(name);
  std::unique_ptr<DataDir> held(new DataDir(path, lock, (dir.st_mode & 0077) != 0));
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return tree::SystemError(name);
    return base::FailedPreconditionError(fmt::format("{} is in use by {}", path, Holder(lock)));
  }
  NoteHolder(lock);
  return held;
}

DataDir::~DataDir() {
  close(lock_);
}

base::Status DataDir::Sync() const {
  return tree::SyncDirectory(path_);
}

}  // namespace strata::engine
