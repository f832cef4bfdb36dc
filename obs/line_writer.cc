#include "obs/line_writer.h"

#include <string>
#include <thread>
#include <utility>

#include "base/mutex.h"

namespace strata::obs {
namespace {

using Clock = std::chrono::steady_clock;

// What a rush took beyond this isn't kept.
constexpr size_t kKeptBytes = 1 << 20;
// Without work the thread looks up this often.
constexpr std::chrono::seconds kLook{1};

}  // namespace

struct LineWriter::State {
  State(const Options& o, Sink s) : options(o), sink(std::move(s)) {}

  const Options options;
  const Sink sink;  // the thread's

  base::Mutex mu;
  base::CondVar changed;  // for the thread
  base::CondVar over;     // the thread has ended
  bool stopping ABSL_GUARDED_BY(mu) = false;
  bool ended ABSL_GUARDED_BY(mu) = false;
  std::string queue ABSL_GUARDED_BY(mu);
  size_t lines ABSL_GUARDED_BY(mu) = 0;          // of the queue
  size_t writing_bytes ABSL_GUARDED_BY(mu) = 0;  // that the sink has
  uint64_t dropped ABSL_GUARDED_BY(mu) = 0;
  uint64_t failed ABSL_GUARDED_BY(mu) = 0;
};

LineWriter::LineWriter(const Options& options, Sink sink)
    : state_(std::make_shared<State>(options, std::move(sink))) {
  std::thread([state = state_] { Run(state); }).detach();
}

LineWriter::~LineWriter() {
  const auto until = Clock::now() + state_->options.patience;
  base::MutexLock lock(&state_->mu);
  state_->stopping = true;
  state_->changed.Signal();
  while (!state_->ended && state_->over.WaitUntil(state_->mu, until)) {
  }
}

bool LineWriter::Push(std::string_view line) {
  State& state = *state_;
  base::MutexLock lock(&state.mu);
  if (state.lines >= state.options.max_lines ||
      state.queue.size() + state.writing_bytes + line.size() > state.options.max_bytes) {
    ++state.dropped;
    return false;
  }
  state.queue += line;
  if (++state.lines == state.options.enough) state.changed.Signal();
  return true;
}

std::function<LineWriter::Stats()> LineWriter::stats() const {
  return [state = state_] {
    base::MutexLock lock(&state->mu);
    return Stats{state->queue.size() + state->writing_bytes, state->dropped, state->failed};
  };
}

void LineWriter::Run(const std::shared_ptr<State>& state) {
  State& s = *state;
  const auto gather = s.options.gather.count() > 0
                          ? std::chrono::duration_cast<Clock::duration>(s.options.gather)
                          : std::chrono::duration_cast<Clock::duration>(kLook);
  std::string lines;
  for (;;) {
    bool last;
    {
      base::MutexLock lock(&s.mu);
      const auto until = Clock::now() + gather;
      while (!s.stopping && s.lines < s.options.enough && s.changed.WaitUntil(s.mu, until)) {
      }
      lines.swap(s.queue);
      s.lines = 0;
      s.writing_bytes = lines.size();
      last = s.stopping;
    }
    const size_t failed = lines.empty() ? 0 : s.sink(lines);
    if (lines.capacity() > kKeptBytes) lines = {};
    lines.clear();
    base::MutexLock lock(&s.mu);
    s.failed += failed;
    s.writing_bytes = 0;
    if (!last) continue;
    s.ended = true;
    s.over.Signal();
    return;
  }
}

}  // namespace strata::obs
