// The directory that a store lives in: made private, and held by one process at a time.
#pragma once

#include <memory>
#include <string>

#include "lib/base/status.h"

namespace strata::engine {

// The file of a store in its directory, and where a restore makes one before that.
inline constexpr const char* kStoreFile = "records.mdb";
inline constexpr const char* kRestoring = "restoring";

// Holds the directory while it lives; the system lets go when the process dies, however it dies.
class DataDir {
 public:
  // Makes the directory (0700) if it isn't there; its parent must be. FailedPrecondition, with the
  // process id of who holds it, if another process does.
  static base::StatusOr<std::unique_ptr<DataDir>> Hold(const std::string& path);
  DataDir(const DataDir&) = delete;
  DataDir& operator=(const DataDir&) = delete;
  ~DataDir();

  // What keeps `path` from holding a store, without touching it: FailedPrecondition if it holds
  // something else, NotFound if it holds nothing and nothing may be made.
  static base::Status Check(const std::string& path, bool may_make);

  std::string FilePath(const std::string& name) const { return path_ + "/" + name; }

  // Others than the owner may look inside.
  bool exposed() const { return exposed_; }

  // Makes the names of its files durable.
  base::Status Sync() const;

 private:
  DataDir(std::string path, int lock, bool exposed)
      : path_(std::move(path)), lock_(lock), exposed_(exposed) {}

  const std::string path_;
  const int lock_;
  const bool exposed_;
};

}  // namespace strata::engine
