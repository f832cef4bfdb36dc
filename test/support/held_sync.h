// A disk that takes long to sync a file. Included by one file of a program: it stands in the place
// of libc's fdatasync.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <dlfcn.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace strata::testing_support {

// Thread-safe.
class SyncHolder {
 public:
  // Syncs of files whose names end so wait from now on; empty: all go on.
  void Hold(const std::string& suffix) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    suffix_ = suffix;
  }
  void Pass(const std::string& path) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    const auto free = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return suffix_.empty() || !path.ends_with(suffix_);
    };
    mu_.Await(absl::Condition(&free));
  }

 private:
  absl::Mutex mu_;
  std::string suffix_ ABSL_GUARDED_BY(mu_);
};

inline SyncHolder sync_holder;

}  // namespace strata::testing_support

extern "C" int fdatasync(int file) {
  static const auto real = reinterpret_cast<decltype(&fdatasync)>(dlsym(RTLD_NEXT, "fdatasync"));
  std::error_code unknown;
  const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file), unknown);
  strata::testing_support::sync_holder.Pass(path.string());
  return real(file);
}
