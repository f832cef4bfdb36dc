// The memory that the process takes, and what it may take.
#pragma once

#include <absl/base/thread_annotations.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <thread>

#include "lib/base/limit.h"
#include "lib/base/mutex.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"

namespace strata::obs {

// The process's memory as those see it who would kill it for it: its control group, or the machine.
class ProcessMemory {
 public:
  // `root` is where /proc and /sys are.
  explicit ProcessMemory(const std::filesystem::path& root = "/");

  // In bytes: the least that its control groups (version 1 or 2) and the machine allow.
  size_t allowed() const { return allowed_; }
  // In bytes: of the process alone, without pages of files, which the kernel takes back, and what
  // sockets hold of what their peers haven't read, where that counts in its control group (version
  // 2). Reads two files; nothing where there is no descriptor for them.
  std::optional<size_t> Taken() const;

 private:
  const std::filesystem::path statm_;
  std::filesystem::path stat_;  // of the control group; empty: none says what its sockets hold
  size_t allowed_;
};

// Says when memory is short: from four fifths of what there may be until it is less than three
// quarters.
class MemoryWatch {
 public:
  struct Options {
    size_t limit = 0;  // in bytes; 0: what is allowed
    std::chrono::milliseconds interval{100};
    // Between two times that what is freed is given back to the system, which takes milliseconds
    // and holds up who allocates.
    std::chrono::milliseconds trim_interval{10'000};
  };

  // `relieve` is called at each interval while memory is short, by a thread of its own. What is
  // given by reference outlives it.
  MemoryWatch(const Options& options, ProcessMemory memory, base::MemoryPressure& pressure,
              std::function<void()> relieve, const Logger& log, Metrics& metrics);
  ~MemoryWatch();
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  void Look();

  const Options options_;
  const ProcessMemory memory_;
  const size_t limit_;
  base::MemoryPressure& pressure_;
  const std::function<void()> relieve_;
  const Logger& log_;
  std::chrono::steady_clock::time_point trimmed_{};  // Run's

  base::Mutex mu_;
  base::CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace strata::obs
