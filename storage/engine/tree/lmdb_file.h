// LMDB's file while it is open: the handles of its tables, and its map, which is watched.
//
// Before LMDB follows a file all of its tree is looked at (page_check.h). What it gives from then
// on is believed only where it stands where it can stand, and has the right checksum.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/status.h"
#include "storage/engine/tree/map_faults.h"
#include "storage/engine/tree/table.h"

struct MDB_env;

namespace strata::engine::tree {

// Opened, grown and closed by the writing thread, while nobody has a transaction; between that any
// thread may ask.
class LmdbFile {
 public:
  struct Bounds {
    int64_t map_bytes = 0;  // at least
    int64_t max_map_bytes = 0;
    int snapshots = 0;  // at a time
  };

  // Makes an empty tree: aside until it is whole, mode 0600.
  static base::Status Make(const std::string& path);

  // `faults` counts what can't be read of it.
  static base::StatusOr<std::unique_ptr<LmdbFile>> Open(const std::string& path,
                                                        const Bounds& bounds, MapFaults& faults);
  // An empty one in place of what the path names, without syncs from then on.
  static base::StatusOr<std::unique_ptr<LmdbFile>> OpenCache(const std::string& path,
                                                             const Bounds& bounds,
                                                             MapFaults& faults);
  // The names of such a file, and of what LMDB has beside it; who has it open goes on.
  static void RemoveFiles(const std::string& path);
  LmdbFile(const LmdbFile&) = delete;
  LmdbFile& operator=(const LmdbFile&) = delete;
  ~LmdbFile();

  MDB_env* env() const { return env_; }
  unsigned table(Table table) const { return tables_[static_cast<size_t>(table)]; }
  int64_t map_bytes() const { return map_bytes_; }
  // Pages that couldn't be read so far, of this file and those before it.
  uint64_t faults() const { return faults_.count(); }

  // Doubles the map; ResourceExhausted at its limit. After any other error there is no map, and
  // nothing may be asked any more.
  base::Status Grow();

  // Whether LMDB gave it from where it can be.
  bool IsSound(std::string_view stored) const;
  // The value without its checksum; nothing if that is wrong.
  std::optional<std::string_view> Verified(Table table, std::string_view key,
                                           std::string_view stored) const;

  // A write that came short for want of room is EIO to LMDB. Whether it was for that shows in
  // whether there is room now, for more than any commit that is logged takes.
  bool HasRoom() const;
  // LMDB refuses everything after it couldn't write a meta page.
  bool Usable() const;

 private:
  LmdbFile(const Bounds& bounds, MapFaults& faults)
      : bounds_(bounds), map_bytes_(bounds.map_bytes), faults_(faults) {}
  base::Status OpenTree(const std::string& path, unsigned flags, unsigned table_flags);
  base::Status WatchMap();
  void ForgetMap();

  const Bounds bounds_;
  int64_t map_bytes_;
  MapFaults& faults_;
  MDB_env* env_ = nullptr;
  std::array<unsigned, kTables> tables_{};
  std::string_view map_;  // what of it is watched
  size_t page_bytes_ = 0;
};

}  // namespace strata::engine::tree
