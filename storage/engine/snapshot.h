// A copy of the whole store, for backups.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"

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

}  // namespace strata::engine
