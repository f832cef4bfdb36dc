// Where a replica has its files.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "lib/base/status.h"
#include "storage/engine/data_dir.h"

namespace strata::replica {

// For one thread.
class CacheDir {
 public:
  // The directory, which is made (0700) if it isn't there, held by this process alone, and rid of
  // what an earlier one left of its files. Empty: a temporary one under $TMPDIR or /tmp, which goes
  // with this. The error says which, and what to do.
  static base::StatusOr<std::unique_ptr<CacheDir>> Open(const std::string& path);
  CacheDir(const CacheDir&) = delete;
  CacheDir& operator=(const CacheDir&) = delete;
  ~CacheDir();

  // For a file; no two are the same.
  std::string NewPath();
  // Whether files are to be hidden, for nobody would remove them after a crash.
  bool temporary() const { return held_ == nullptr; }
  const std::string& path() const { return path_; }
  // Others than the owner may look inside.
  bool exposed() const { return held_ != nullptr && held_->exposed(); }

  // Bytes of the file system that may still be used.
  uint64_t Room() const;

 private:
  CacheDir(std::string path, std::unique_ptr<engine::DataDir> held)
      : path_(std::move(path)), held_(std::move(held)) {}

  const std::string path_;
  const std::unique_ptr<engine::DataDir> held_;  // null: a temporary one
  int files_ = 0;
};

}  // namespace strata::replica
