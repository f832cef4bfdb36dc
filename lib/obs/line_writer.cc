#include "lib/obs/line_writer.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace strata::obs {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kBlockBytes = 64 << 10;
// Kept for what comes next: memory that is freed and asked for again has its pages zeroed again.
constexpr size_t kSpareBlocks = 4;
// Without work the thread looks up this often.
constexpr std::chrono::milliseconds kLook{1000};

}  // namespace

LineWriter::LineWriter(const Options& options, Sink& sink, Gauge bytes, Counter lost)
    : options_(options), sink_(sink), bytes_shown_(bytes), lost_(lost), thread_([this] {
        Run();
      }) {}

LineWriter::~LineWriter() {
  {
    base::MutexLock lock(&mu_);
    stopping_ = true;
    changed_.Signal();
  }
  thread_.join();
}

bool LineWriter::Push(std::string_view line) {
  base::MutexLock lock(&mu_);
  if (lines_ >= options_.max_lines || line.size() > options_.max_bytes - bytes_) {
    ++dropped_;
    lost_.Increment();
    return false;
  }
  const bool was_due = IsDue();
  if (blocks_.empty() || blocks_.back().capacity() - blocks_.back().size() < line.size())
    AddBlock(line.size());
  blocks_.back() += line;
  bytes_ += line.size();
  bytes_shown_.Set(static_cast<double>(bytes_));
  ++lines_;
  if (!was_due && IsDue()) changed_.Signal();
  return true;
}

void LineWriter::AddBlock(size_t least) {
  if (spare_.empty()) {
    blocks_.emplace_back();
  } else {
    blocks_.push_back(std::move(spare_.back()));
    spare_.pop_back();
  }
  blocks_.back().reserve(std::max(kBlockBytes, least));
}

bool LineWriter::AwaitLines(std::vector<std::string>& blocks, uint64_t& dropped) {
  const auto until = Clock::now() + (options_.gather.count() > 0 ? options_.gather : kLook);
  base::MutexLock lock(&mu_);
  while (!stopping_ && !IsDue() && changed_.WaitUntil(mu_, until)) {
  }
  blocks.swap(blocks_);
  lines_ = 0;
  dropped = std::exchange(dropped_, 0);
  return !stopping_;
}

void LineWriter::Run() {
  uint64_t untold = 0;
  bool goes_well = true;
  for (bool more = true; more;) {
    std::vector<std::string> blocks;
    uint64_t dropped = 0;
    more = AwaitLines(blocks, dropped);
    untold += dropped;
    for (std::string& block : blocks) {
      const size_t lost = sink_.Write(block);
      goes_well = lost == 0;
      untold += lost;
      if (lost > 0) lost_.Increment(static_cast<double>(lost));
      const size_t written = block.size();
      block.clear();
      // What a long line needed isn't kept.
      if (block.capacity() > 2 * kBlockBytes) block.shrink_to_fit();
      base::MutexLock lock(&mu_);
      bytes_ -= written;
      bytes_shown_.Set(static_cast<double>(bytes_));
      if (spare_.size() < kSpareBlocks) spare_.push_back(std::move(block));
    }
    if (untold > 0 && goes_well && sink_.TellLost(untold)) untold = 0;
  }
}

bool LineFile::WriteAll(std::string_view& text) const {
  while (!text.empty()) {
    const ssize_t written = write(file_, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {
      // Somebody who has it too has made it one that doesn't block.
      pollfd writable{file_, POLLOUT, 0};
      poll(&writable, 1, -1);
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

LineFile::Written LineFile::Write(std::string_view lines) {
  std::string_view rest = lines, end = is_torn_ ? "\n" : "";
  const size_t ended = end.size();
  const bool all = WriteAll(end) && WriteAll(rest);
  const int error = all ? 0 : errno;
  const size_t written = lines.size() - rest.size();
  if (end.empty()) is_torn_ = written > 0 ? lines[written - 1] != '\n' : false;
  return {ended - end.size() + written,
          static_cast<size_t>(std::count(rest.begin(), rest.end(), '\n')), error};
}

}  // namespace strata::obs
