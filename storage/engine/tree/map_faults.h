// What becomes of a read that the file behind a map can't give: the disk failed, or the file was
// cut while it was open. The system tells by SIGBUS, which would end the process.
//
// The page that can't be read is replaced by zeros, for this process until the map ends, and
// counted. A page of zeros is neither leaf nor branch, so that LMDB refuses it, and no value of
// zeros has the right checksum; whoever copied from it meanwhile finds the count changed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "lib/base/status.h"

namespace strata::engine::tree {

// Watches over one map, or a part of it. The handler of SIGBUS is the process's: it is installed
// with the first, and passes by what concerns none of them as before. For one thread, but count and
// Tell.
class MapFaults {
 public:
  MapFaults();
  MapFaults(const MapFaults&) = delete;
  MapFaults& operator=(const MapFaults&) = delete;
  ~MapFaults();

  // Instead of what was watched before; null ends it. Before the map itself ends.
  void Watch(void* begin, size_t bytes);

  // Pages that couldn't be read so far.
  uint64_t count() const;
  // DataLoss that says so.
  static base::Status Tell();

  struct Slot {
    std::atomic<bool> taken = false;
    std::atomic<uintptr_t> begin = 0, end = 0;
    std::atomic<uint64_t> count = 0;
  };

 private:
  Slot* const slot_;
};

}  // namespace strata::engine::tree
