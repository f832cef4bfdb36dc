// A file that is in no folder: what a library that only reads files is to read, and nobody else.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "lib/base/status.h"

namespace strata::rpc {

// Its content is replaced whole, and its path stays. A reader that opens the path reads one content
// from beginning to end; of two contents the times of modification differ by a second at least.
// One thread at a time.
class MemoryFile {
 public:
  MemoryFile() = default;
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  // Leaves it open: who reads it may outlive us, and another file must not take its place.
  ~MemoryFile() = default;

  base::Status Put(std::string_view content);

  // After the first Put.
  std::string path() const;

 private:
  int fd_ = -1;
  time_t modified_ = 0;
};

}  // namespace strata::rpc
