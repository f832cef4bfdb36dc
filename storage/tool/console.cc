#include "storage/tool/console.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "lib/base/bytes.h"

namespace strata::tool {
namespace {

constexpr auto kProgressInterval = std::chrono::milliseconds(200);
constexpr size_t kMaxLine = 2000;

void Write(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace

Console::Console(const base::Clock& clock)
    : clock_(clock),
      lines_([](std::string_view line) {
        Write(line);
        Write("\n");
      }),
      shows_progress_(isatty(STDERR_FILENO) != 0) {}

Console::~Console() {
  ClearProgress();
}

void Console::Line(std::string_view text) {
  ClearProgress();
  lines_(base::Printable(text, kMaxLine));
}

bool Console::WantsProgress() {
  if (!shows_progress_) return false;
  const base::MonotonicTime now = clock_.Now();
  if (now < next_progress_) return false;
  next_progress_ = now + kProgressInterval;
  return true;
}

void Console::Progress(std::string_view text) {
  ClearProgress();
  Write(base::Printable(text, 160));
  std::fflush(stderr);
  progress_is_shown_ = true;
}

void Console::ClearProgress() {
  if (progress_is_shown_) Write("\r\x1b[K");
  progress_is_shown_ = false;
}

}  // namespace strata::tool
