#include "storage/engine/snapshot.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "storage/engine/data_dir.h"
#include "storage/engine/marker.h"
#include "storage/engine/meta.h"
#include "storage/engine/tree/disk.h"
#include "storage/engine/tree/environment.h"
#include "storage/engine/view.h"

namespace strata::engine {
namespace {

// Not Unavailable: etcd's clients would try again and again, and whoever waits for a backup would
// hear nothing of it.
base::Status Failed(const char* what) {
  const int code = errno;
  const auto message = fmt::format("{} a snapshot: {}", what, std::strerror(code));
  return tree::IsDiskFull(code) ? base::ResourceExhaustedError(message)
                                : base::InternalError(message);
}

}  // namespace

base::StatusOr<Revision> Refound(const std::string& directory, Revision bump) {
  STRATA_ASSIGN_OR_RETURN(const auto dir, DataDir::Hold(directory));
  Revision revision = 0;
  {
    STRATA_ASSIGN_OR_RETURN(const auto env, tree::Environment::Open(dir->FilePath(kStoreFile), {}));
    STRATA_ASSIGN_OR_RETURN(auto txn, env->Begin());
    STRATA_RETURN_IF_ERROR(PutNewIds(txn));
    STRATA_ASSIGN_OR_RETURN(const View view, View::Of(txn));
    revision = view.revision() + bump;
    if (bump > kMostRevision || revision > kMostRevision) {
      return base::InvalidArgumentError(
          fmt::format("--bump-revision: {} and the snapshot's {} are more than a store counts to, "
                      "which is {}",
                      bump, view.revision(), kMostRevision));
    }
    if (bump > 0) STRATA_RETURN_IF_ERROR(PutMarker(txn, revision));
    STRATA_RETURN_IF_ERROR(txn.Commit());
  }
  STRATA_RETURN_IF_ERROR(dir->Sync());
  return revision;
}

base::Status Settle(const std::string& directory) {
  STRATA_ASSIGN_OR_RETURN(const auto dir, DataDir::Hold(directory));
  // What is opened is settled first, and nothing is written then.
  return tree::Environment::Open(dir->FilePath(kStoreFile), {}).status();
}

base::StatusOr<std::unique_ptr<Snapshot>> Snapshot::Create(const std::string& directory) {
  int file = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  // NFS and FUSE have none without a name.
  if (file < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
    std::string path = directory + "/snapshot.XXXXXX";
    file = mkostemp(path.data(), O_CLOEXEC);
    if (file >= 0) unlink(path.c_str());
  }
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
