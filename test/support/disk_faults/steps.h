// The calls of a program on one directory, each of which may fail (disk_faults.cc says how).
#pragma once

#include <dlfcn.h>
#include <fcntl.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

namespace strata::disk_faults {

template <typename Function>
Function* Real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

inline std::string Setting(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

// Counts calls below one directory, and lets some fail.
class Steps {
 public:
  Steps() : dir_(Setting("DISK_DIR")) {
    char number[16];
    if (sscanf(Setting("DISK_FAIL").c_str(), "step:%15[+0-9]:%d", number, &error_) == 2) {
      lasting_ = number[0] == '+';
      fail_ = strtol(number, nullptr, 10);
    }
    if (const std::string log = Setting("DISK_STEPS"); !log.empty())
      log_ = Real<int(const char*, int, ...)>("open")(
          log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }

  // Whether the call has to fail; then errno is set.
  bool Fails(const char* call, const char* path) {
    const std::lock_guard lock(mu_);
    return IsBelow(path) && Step(call, path);
  }
  bool Fails(const char* call, int fd) {
    const std::lock_guard lock(mu_);
    const auto found = fds_.find(fd);
    return found != fds_.end() && Step(call, found->second);
  }

  // The same, of what would change something where all is read-only.
  bool RefusesChanges(const char* path) {
    const std::lock_guard lock(mu_);
    if (!read_only_ || !IsBelow(path)) return false;
    errno = EROFS;
    return true;
  }

  void Opened(const char* path, int fd) {
    const std::lock_guard lock(mu_);
    if (fd >= 0 && IsBelow(path)) fds_[fd] = path;
  }
  void Closed(int fd) {
    const std::lock_guard lock(mu_);
    fds_.erase(fd);
  }

 private:
  bool IsBelow(const char* path) const {
    return !dir_.empty() && strncmp(path, dir_.c_str(), dir_.size()) == 0;
  }

  bool Step(const char* call, const std::string& path) {
    ++steps_;
    if (log_ >= 0) dprintf(log_, "%s %s\n", call, path.substr(dir_.size()).c_str());
    if (fail_ == 0 || (lasting_ ? steps_ < fail_ : steps_ != fail_)) return false;
    errno = error_;
    return true;
  }

  const std::string dir_;
  const bool read_only_ = !Setting("DISK_READ_ONLY").empty();
  int log_ = -1;
  std::mutex mu_;
  std::map<int, std::string> fds_;
  long steps_ = 0, fail_ = 0;
  int error_ = 0;
  bool lasting_ = false;
};

}  // namespace strata::disk_faults
