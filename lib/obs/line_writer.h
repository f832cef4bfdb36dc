// Lines on their way to where they are written, which may be slow or stuck: they wait in a queue
// that is bounded in bytes, and a thread writes them. Who logs never waits.
#pragma once

#include <absl/base/thread_annotations.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/obs/metrics.h"

namespace strata::obs {

// Thread-safe.
class LineWriter {
 public:
  struct Options {
    size_t max_bytes = 8 << 20;   // that wait or are being written; a line beyond them is lost
    size_t max_lines = SIZE_MAX;  // that wait
    // Lines are gathered for so long, or until there are `enough`, or half of the bytes: one
    // wake-up for many.
    std::chrono::milliseconds gather{0};
    size_t enough = 1;
  };
  // Where lines are written. Called by the writer's thread alone.
  class Sink {
   public:
    virtual ~Sink() = default;
    // Whole lines, each with its line feed. May block for as long as it likes. How many of them
    // couldn't be written.
    virtual size_t Write(std::string_view lines) = 0;
    // So many were lost since this was told, and writing goes well again. False: it couldn't be
    // said, and will be told again with the next ones.
    virtual bool TellLost(uint64_t lines) = 0;
  };

  // `bytes` shows those that wait or are being written; `lost` counts lines that are lost, for want
  // of room or by the sink.
  LineWriter(const Options& options, Sink& sink, Gauge bytes, Counter lost);
  // Writes what waits, however long the sink takes: a process that must end in time sees to that
  // by itself (lib/base/process.h).
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // `line` ends with a line feed. False if it is lost.
  bool Push(std::string_view line) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  bool IsDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return lines_ >= options_.enough || bytes_ > options_.max_bytes / 2;
  }
  // Room for a line of so many bytes.
  void AddBlock(size_t least) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // False if it is for the last time.
  bool AwaitLines(std::vector<std::string>& blocks, uint64_t& dropped) ABSL_LOCKS_EXCLUDED(mu_);

  const Options options_;
  Sink& sink_;
  const Gauge bytes_shown_;
  const Counter lost_;

  base::Mutex mu_;
  base::CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  // Of whole lines. A block doesn't grow once it is full, so no line waits while others are copied.
  std::vector<std::string> blocks_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> spare_ ABSL_GUARDED_BY(mu_);  // empty ones
  size_t lines_ ABSL_GUARDED_BY(mu_) = 0;
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;  // with those that are being written
  uint64_t dropped_ ABSL_GUARDED_BY(mu_) = 0;
  std::thread thread_;
};

// A file, a pipe or a terminal that gets lines. One thread at a time.
class LineFile {
 public:
  explicit LineFile(int file) : file_(file) {}

  struct Written {
    size_t bytes = 0;
    size_t lost_lines = 0;  // that couldn't be written, for the reason `error` (errno)
    int error = 0;
  };
  // A line that could be written in part alone is ended before the next one.
  Written Write(std::string_view lines);

 private:
  // False on an error, which is in errno. Takes from `text` what was written.
  bool WriteAll(std::string_view& text) const;

  int file_;
  bool is_torn_ = false;
};

}  // namespace strata::obs
