// Lines on their way to a sink that may be slow or stuck: they wait in a bounded queue, and a
// thread writes them. Neither who logs nor the process's end waits for the sink.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace strata::obs {

// Thread-safe.
class LineWriter {
 public:
  struct Options {
    size_t max_bytes = 8 << 20;  // that wait or are being written; more is dropped, and counted
    size_t max_lines = SIZE_MAX;
    // Lines are gathered for so long, or until there are `enough`: one wake-up and one write for
    // many.
    std::chrono::milliseconds gather{0};
    size_t enough = 1;
    // How long the end waits for the sink.
    std::chrono::milliseconds patience{2'000};
  };
  // Gets whole lines, each with its line feed, on the writer's thread; may block for ever. Says how
  // many of them it couldn't write. Owns all that it needs: it may be left behind.
  using Sink = std::function<size_t(std::string_view lines)>;

  LineWriter(const Options& options, Sink sink);
  // Gives the sink what is queued. If it takes longer than the patience, the thread and the sink
  // are left behind, for the process is about to end.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // `line` ends with a line feed. False if it was dropped.
  bool Push(std::string_view line);

  struct Stats {
    size_t bytes = 0;                  // wait or are being written
    uint64_t dropped = 0, failed = 0;  // lines: for want of room, and by the sink
  };
  // May be called as long as one likes: also when the writer is gone.
  std::function<Stats()> stats() const;

 private:
  struct State;
  static void Run(const std::shared_ptr<State>& state);

  const std::shared_ptr<State> state_;
};

}  // namespace strata::obs
