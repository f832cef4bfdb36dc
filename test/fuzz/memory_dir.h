// A directory in memory, gone with its object: a sync of a disk's file takes longer than all that a
// fuzz target does beside it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace strata::fuzz {

class MemoryDir {
 public:
  MemoryDir() : path_("/dev/shm/strata-fuzz-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  MemoryDir(const MemoryDir&) = delete;
  MemoryDir& operator=(const MemoryDir&) = delete;
  ~MemoryDir() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace strata::fuzz
