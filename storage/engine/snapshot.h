// A copy of the whole store, for backups.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "lib/base/status.h"
#include "storage/engine/types.h"

namespace strata::engine {

// A file without a name: it is gone with this object, or with the process. For one thread at a
// time.
class Snapshot {
 public:
  // In the directory, whose file system must have room for it.
  static base::StatusOr<std::unique_ptr<Snapshot>> Create(const std::string& directory);
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot();

  int file() const { return file_; }
  base::StatusOr<int64_t> size() const;
  // Up to `most` bytes from `offset`; empty at the end.
  base::StatusOr<std::string> Read(int64_t offset, size_t most) const;

 private:
  explicit Snapshot(int file) : file_(file) {}
  const int file_;
};

// At which a store may begin: as many follow as it will ever write.
inline constexpr Revision kMostRevision = Revision{1} << 61;

// Makes the store in `directory`, which nobody has open and which was copied from a snapshot, one
// of its own: with another cluster id and member id, since what is written to it from now on isn't
// what was written to the other one, and may come to the same revisions. Where `bump` isn't 0 its
// revision is so much higher, and all before that is compacted (etcdutl snapshot v3_snapshot.go
// modifyLatestRevision): who has seen later revisions of the other one finds its own gone, and
// lists. Returns the revision.
base::StatusOr<Revision> Refound(const std::string& directory, Revision bump);

// Makes the file of the store in `directory`, which nobody has open, whole without the log beside
// it. Whoever takes the one without the other does this before: a store that is closed has tried,
// and tells nobody that the disk failed.
base::Status Settle(const std::string& directory);

}  // namespace strata::engine
