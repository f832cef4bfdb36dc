// What a subcommand says while it works: lines about records, and on a terminal one line of
// progress that is written over.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "lib/base/clock.h"

namespace strata::tool {

class Console {
 public:
  using Sink = std::function<void(std::string_view text)>;

  // To stderr; progress only if it is a terminal.
  explicit Console(const base::Clock& clock);
  // For tests: whole lines without their line feed, no progress.
  Console(const base::Clock& clock, Sink lines) : clock_(clock), lines_(std::move(lines)) {}
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  // One line, made fit for a terminal: what records hold can't move the cursor or break the line.
  void Line(std::string_view text);

  // True if it is time to show progress again: not more than five times a second.
  bool WantsProgress();
  void Progress(std::string_view text);

 private:
  void ClearProgress();

  const base::Clock& clock_;
  const Sink lines_;
  const bool shows_progress_ = false;
  bool progress_is_shown_ = false;
  base::MonotonicTime next_progress_{};
};

}  // namespace strata::tool
