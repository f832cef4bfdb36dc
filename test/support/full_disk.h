// A disk that is full, to this process: a limit on the size of files.
#pragma once

#include <sys/resource.h>

#include "lib/base/process.h"

namespace strata::testing_support {

// No file grows beyond so many bytes while it lives.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    base::RefuseWhatIsTooLarge();
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace strata::testing_support
