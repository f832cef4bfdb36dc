#include "lib/obs/line_writer.h"

#include <absl/synchronization/notification.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "lib/base/process.h"

namespace strata::obs {
namespace {

class Sink final : public LineWriter::Sink {
 public:
  size_t Write(std::string_view lines) override {
    if (!called.HasBeenNotified()) called.Notify();
    go.WaitForNotification();
    if (fails) return static_cast<size_t>(std::count(lines.begin(), lines.end(), '\n'));
    text += lines;
    return 0;
  }
  bool TellLost(uint64_t lines) override {
    told.push_back(lines);
    return true;
  }

  absl::Notification called, go;
  // The writer's; to be looked at once it has ended.
  bool fails = false;
  std::string text;
  std::vector<uint64_t> told;
};

class LineWriterTest : public testing::Test {
 protected:
  std::unique_ptr<LineWriter> Writer(const LineWriter::Options& options) {
    return std::make_unique<LineWriter>(options, sink, bytes, lost);
  }
  // A line that is being written, so that those that come then wait.
  void WriteFirst(LineWriter& writer, std::string_view line) {
    EXPECT_TRUE(writer.Push(line));
    sink.called.WaitForNotification();
  }

  Metrics metrics;
  Gauge bytes = metrics.AddGauge("bytes", "");
  Counter lost = metrics.AddCounter("lost", "");
  Sink sink;
};

TEST_F(LineWriterTest, WritesAllLinesInOrderBeforeItEnds) {
  sink.go.Notify();
  std::string expected;
  auto writer = Writer({});
  for (int i = 0; i < 50'000; ++i) {
    const std::string line = std::to_string(i) + "\n";
    EXPECT_TRUE(writer->Push(line));
    expected += line;
  }
  writer.reset();
  EXPECT_EQ(sink.text, expected);
  EXPECT_EQ(bytes.value(), 0);
  EXPECT_EQ(lost.value(), 0);
  EXPECT_THAT(sink.told, testing::IsEmpty());
}

TEST_F(LineWriterTest, AStuckSinkCostsSoManyBytesAndWhatIsLostIsTold) {
  const std::string line = std::string(999, 'x') + "\n";
  auto writer = Writer({.max_bytes = 200'000});
  WriteFirst(*writer, line);
  int taken = 1;
  for (int i = 0; i < 1000; ++i) taken += writer->Push(line) ? 1 : 0;
  EXPECT_EQ(taken, 200) << "the one that is being written counts";
  EXPECT_EQ(bytes.value(), 200'000);
  EXPECT_EQ(lost.value(), 801);
  sink.go.Notify();
  writer.reset();
  EXPECT_EQ(sink.text.size(), 200'000u);
  EXPECT_THAT(sink.told, testing::ElementsAre(801u));
  EXPECT_EQ(bytes.value(), 0);
}

TEST_F(LineWriterTest, LinesAreBoundedInNumberToo) {
  auto writer = Writer({.max_lines = 3});
  WriteFirst(*writer, "first\n");
  EXPECT_TRUE(writer->Push("1\n"));
  EXPECT_TRUE(writer->Push("2\n"));
  EXPECT_TRUE(writer->Push("3\n"));
  EXPECT_FALSE(writer->Push("4\n"));
  sink.go.Notify();
}

TEST_F(LineWriterTest, ALineThatIsLargerThanAllRoomIsLostAlone) {
  sink.go.Notify();
  auto writer = Writer({.max_bytes = 2 << 20});
  EXPECT_FALSE(writer->Push(std::string(2 << 20, 'x') + "\n"));
  EXPECT_TRUE(writer->Push(std::string(1 << 20, 'x') + "\n"));
  EXPECT_TRUE(writer->Push("last\n"));
  writer.reset();
  EXPECT_THAT(sink.text, testing::EndsWith("x\nlast\n"));
}

TEST_F(LineWriterTest, GathersLinesUntilThereAreEnoughOrTheRoomIsHalfFull) {
  for (const LineWriter::Options& options :
       {LineWriter::Options{.gather = std::chrono::hours(1), .enough = 3},
        LineWriter::Options{.max_bytes = 10, .gather = std::chrono::hours(1), .enough = 100}}) {
    Sink own;
    own.go.Notify();
    LineWriter writer(options, own, bytes, lost);
    EXPECT_TRUE(writer.Push("1\n"));
    EXPECT_TRUE(writer.Push("2\n"));
    EXPECT_FALSE(own.called.HasBeenNotified());
    EXPECT_TRUE(writer.Push("3\n"));
    own.called.WaitForNotification();
  }
}

TEST_F(LineWriterTest, WhatTheSinkFailsAtIsCounted) {
  sink.fails = true;
  sink.go.Notify();
  auto writer = Writer({});
  for (int i = 0; i < 7; ++i) writer->Push("x\n");
  writer.reset();
  EXPECT_EQ(lost.value(), 7);
  EXPECT_THAT(sink.told, testing::IsEmpty()) << "it doesn't write yet";
}

struct Pipe {
  Pipe() {
    EXPECT_EQ(pipe2(ends, O_NONBLOCK), 0);
    EXPECT_GE(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
  }
  ~Pipe() {
    close(ends[0]);
    close(ends[1]);
  }
  std::string Read() const {
    std::string text(1 << 20, '\0');
    const ssize_t size = read(ends[0], text.data(), text.size());
    text.resize(static_cast<size_t>(std::max<ssize_t>(0, size)));
    return text;
  }
  int ends[2];
};

TEST(LineFile, WaitsForAPipeThatDoesNotBlock) {
  const Pipe pipe;
  LineFile file(pipe.ends[1]);
  const std::string lines = std::string(20'000, 'x') + "\n";
  std::thread reader([&] {
    std::string all;
    while (all.size() < lines.size()) all += pipe.Read();
    EXPECT_EQ(all, lines);
  });
  const LineFile::Written written = file.Write(lines);
  reader.join();
  EXPECT_EQ(written.bytes, lines.size());
  EXPECT_EQ(written.lost_lines, 0u);
}

// A file that may have 10 bytes and then more.
TEST(LineFile, ALineThatWasCutIsEndedBeforeTheNext) {
  char path[] = "/tmp/strata-lines-XXXXXX";
  const int file = mkstemp(path);
  ASSERT_GE(file, 0);
  unlink(path);
  base::RefuseWhatIsTooLarge();
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit ten{10, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &ten);
  LineFile lines(file);
  LineFile::Written written = lines.Write("first\nsecond\nthird\n");
  EXPECT_EQ(written.bytes, 10u);
  EXPECT_EQ(written.lost_lines, 2u);
  EXPECT_EQ(written.error, EFBIG);
  EXPECT_EQ(lines.Write("fourth\n").lost_lines, 1u);
  setrlimit(RLIMIT_FSIZE, &before);
  written = lines.Write("fifth\n");
  EXPECT_EQ(written.bytes, 7u);
  EXPECT_EQ(written.lost_lines, 0u);
  EXPECT_EQ(lines.Write("sixth\n").bytes, 6u);
  char text[100];
  const ssize_t size = pread(file, text, sizeof text, 0);
  close(file);
  ASSERT_GT(size, 0);
  EXPECT_EQ(std::string(text, static_cast<size_t>(size)), "first\nseco\nfifth\nsixth\n");
}

}  // namespace
}  // namespace strata::obs
