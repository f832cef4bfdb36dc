// Bytes that are appended first and read as one piece afterwards: in memory while they are few,
// then in an unlinked temporary file, so that inputs of gigabytes don't need that much memory.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "lib/base/status.h"

namespace strata::tool {

class Spool {
 public:
  static constexpr size_t kMemoryLimit = 64 << 20;

  explicit Spool(size_t memory_limit = kMemoryLimit) : memory_limit_(memory_limit) {}
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // Fails if the temporary file can't be made or written ($TMPDIR, else /tmp).
  base::Status Append(std::string_view bytes);

  // Everything appended. Valid as long as the spool; nothing may be appended any more.
  base::StatusOr<std::string_view> View();

  size_t size() const { return spilled_ + memory_.size(); }

 private:
  base::Status Spill();

  const size_t memory_limit_;
  std::string memory_;  // what isn't in the file
  size_t spilled_ = 0;  // bytes in the file
  int fd_ = -1;         // -1: no file yet
  void* mapping_ = nullptr;
};

}  // namespace strata::tool
