#include "obs/line_writer.h"

#include <gtest/gtest.h>

#include <absl/synchronization/notification.h>

#include <algorithm>
#include <string>

#include "base/mutex.h"

namespace strata::obs {
namespace {

using std::chrono::milliseconds;

// What a sink got; shared, since a sink may outlive its writer.
struct Sink {
  base::Mutex mu;
  std::string text ABSL_GUARDED_BY(mu);
  size_t calls ABSL_GUARDED_BY(mu) = 0;
  absl::Notification called, go;

  static LineWriter::Sink Of(const std::shared_ptr<Sink>& sink, bool stuck = false) {
    return [sink, stuck](std::string_view lines) -> size_t {
      if (!sink->called.HasBeenNotified()) sink->called.Notify();
      if (stuck) sink->go.WaitForNotification();
      base::MutexLock lock(&sink->mu);
      sink->text += lines;
      ++sink->calls;
      return 0;
    };
  }
  std::string Text() {
    base::MutexLock lock(&mu);
    return text;
  }
};

TEST(LineWriter, WritesAllLinesInOrderBeforeItEnds) {
  const auto sink = std::make_shared<Sink>();
  std::string expected;
  {
    LineWriter writer({}, Sink::Of(sink));
    for (int i = 0; i < 5000; ++i) {
      const std::string line = std::to_string(i) + "\n";
      EXPECT_TRUE(writer.Push(line));
      expected += line;
    }
  }
  EXPECT_EQ(sink->Text(), expected);
}

TEST(LineWriter, AStuckSinkHoldsUpNobodyAndNoMoreThanItsBytes) {
  const auto sink = std::make_shared<Sink>();
  std::function<LineWriter::Stats()> stats;
  const std::string line(1000, 'x');
  {
    LineWriter writer({.max_bytes = 100'000, .patience = milliseconds(50)}, Sink::Of(sink, true));
    stats = writer.stats();
    EXPECT_TRUE(writer.Push(line));
    sink->called.WaitForNotification();
    int taken = 1;
    for (int i = 0; i < 1000; ++i) taken += writer.Push(line) ? 1 : 0;
    EXPECT_EQ(taken, 100);
    EXPECT_EQ(stats().bytes, 100'000u);
    EXPECT_EQ(stats().dropped, 901u);
  }
  EXPECT_LE(sink->Text().size(), 0u) << "the end hasn't waited";
  sink->go.Notify();
}

TEST(LineWriter, LinesMayBeBoundedToo) {
  const auto sink = std::make_shared<Sink>();
  LineWriter writer({.max_lines = 3, .patience = milliseconds(50)}, Sink::Of(sink, true));
  writer.Push("first\n");
  sink->called.WaitForNotification();
  EXPECT_TRUE(writer.Push("1\n"));
  EXPECT_TRUE(writer.Push("2\n"));
  EXPECT_TRUE(writer.Push("3\n"));
  EXPECT_FALSE(writer.Push("4\n"));
  sink->go.Notify();
}

TEST(LineWriter, GathersLinesForOneWrite) {
  const auto sink = std::make_shared<Sink>();
  {
    LineWriter writer({.gather = std::chrono::hours(1), .enough = 1000}, Sink::Of(sink));
    for (int i = 0; i < 3; ++i) writer.Push("x\n");
  }
  EXPECT_EQ(sink->Text(), "x\nx\nx\n");
  base::MutexLock lock(&sink->mu);
  EXPECT_EQ(sink->calls, 1u);
}

TEST(LineWriter, CountsWhatItsSinkCouldNotWrite) {
  std::function<LineWriter::Stats()> stats;
  {
    LineWriter writer({}, [](std::string_view lines) {
      return static_cast<size_t>(std::count(lines.begin(), lines.end(), '\n'));
    });
    stats = writer.stats();
    for (int i = 0; i < 7; ++i) writer.Push("x\n");
  }
  EXPECT_EQ(stats().failed, 7u);
  EXPECT_EQ(stats().bytes, 0u);
}

}  // namespace
}  // namespace strata::obs
