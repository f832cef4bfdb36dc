#include "storage/rpc/watch.h"

#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <algorithm>
#include <utility>

#include "storage/engine/errors.h"
#include "storage/rpc/watch_stream.h"

namespace strata::rpc {
namespace {

namespace pb = etcdserverpb;

// Answers a call that shall not begin.
class RefusedStream final : public grpc::ServerBidiReactor<pb::WatchRequest, pb::WatchResponse> {
 public:
  explicit RefusedStream(const grpc::Status& why) { Finish(why); }
  void OnDone() override { delete this; }
};

}  // namespace

WatchService::WatchService(engine::Store& store, const Identity& identity,
                           const WatchOptions& options, obs::Metrics& metrics)
    : store_(store),
      identity_(identity),
      options_(options),
      streams_gauge_(metrics.AddGauge("etcd_debugging_mvcc_watch_stream_total",
                                      "Watch streams that are open.")),
      watches_gauge_(
          metrics.AddGauge("etcd_debugging_mvcc_watcher_total", "Watches on all streams.")),
      events_(metrics.AddCounter("etcd_debugging_mvcc_events_total", "Events sent to watches.")),
      next_progress_(std::chrono::steady_clock::now() + options.progress_interval) {
  store_.AddListener(*this);
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { Run(); });
}

WatchService::~WatchService() {
  store_.RemoveListener(*this);
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  for (auto& thread : threads_) thread.join();
}

grpc::ServerBidiReactor<pb::WatchRequest, pb::WatchResponse>* WatchService::Watch(
    grpc::CallbackServerContext* /*context*/) {
  auto stream = std::make_shared<WatchStream>(*this);
  {
    absl::MutexLock lock(&mu_);
    if (refusing_) return new RefusedStream(ToGrpc(engine::Stopped()));
    if (streams_.size() >= options_.max_streams) {
      return new RefusedStream(
          {grpc::StatusCode::RESOURCE_EXHAUSTED, "etcdserver: too many watch streams"});
    }
    streams_.insert(stream);
    streams_gauge_.Set(static_cast<double>(streams_.size()));
  }
  stream->Begin();
  return stream.get();
}

void WatchService::StopStreams() {
  std::vector<std::shared_ptr<WatchStream>> streams;
  {
    absl::MutexLock lock(&mu_);
    refusing_ = true;
    streams.assign(streams_.begin(), streams_.end());
  }
  for (const auto& stream : streams) stream->Stop(ToGrpc(engine::Stopped()));
}

void WatchService::OnCommit(engine::Revision /*revision*/) {
  absl::MutexLock lock(&mu_);
  committed_ = true;
}

void WatchService::Wake(const std::shared_ptr<WatchStream>& stream) {
  absl::MutexLock lock(&mu_);
  Enqueue(stream);
}

void WatchService::WakeAt(std::chrono::steady_clock::time_point when,
                          const std::shared_ptr<WatchStream>& stream) {
  absl::MutexLock lock(&mu_);
  gathering_.emplace(when, stream);
}

void WatchService::Enqueue(const std::shared_ptr<WatchStream>& stream) {
  using Turn = WatchStream::Turn;
  if (stream->turn_ == Turn::kIdle) {
    stream->turn_ = Turn::kReady;
    ready_.push_back(stream);
  } else if (stream->turn_ == Turn::kRunning) {
    stream->turn_ = Turn::kRunningAgain;
  }
}

void WatchService::Forget(const std::shared_ptr<WatchStream>& stream) {
  absl::MutexLock lock(&mu_);
  streams_.erase(stream);
  streams_gauge_.Set(static_cast<double>(streams_.size()));
}

void WatchService::Run() {
  using Turn = WatchStream::Turn;
  for (;;) {
    std::shared_ptr<WatchStream> stream;
    bool tick = false;
    {
      absl::MutexLock lock(&mu_);
      const auto wake = [this]() ABSL_SHARED_LOCKS_REQUIRED(mu_) {
        return stopping_ || committed_ || !ready_.empty();
      };
      auto next = next_progress_;
      if (!gathering_.empty()) next = std::min(next, gathering_.begin()->first);
      mu_.AwaitWithTimeout(absl::Condition(&wake),
                           absl::FromChrono(next - std::chrono::steady_clock::now()));
      if (stopping_) return;
      const auto now = std::chrono::steady_clock::now();
      if (committed_) {
        committed_ = false;
        for (const auto& each : streams_) Enqueue(each);
      }
      while (!gathering_.empty() && gathering_.begin()->first <= now) {
        Enqueue(gathering_.begin()->second);
        gathering_.erase(gathering_.begin());
      }
      if (now >= next_progress_) {
        next_progress_ = now + options_.progress_interval;
        tick = true;
      }
      if (!ready_.empty()) {
        stream = std::move(ready_.front());
        ready_.pop_front();
        stream->turn_ = Turn::kRunning;
      }
    }
    if (tick) TickProgress();
    if (stream == nullptr) continue;
    stream->Step();
    absl::MutexLock lock(&mu_);
    const bool again = stream->turn_ == Turn::kRunningAgain;
    stream->turn_ = Turn::kIdle;
    if (again) Enqueue(stream);
  }
}

void WatchService::TickProgress() {
  std::vector<std::shared_ptr<WatchStream>> streams;
  {
    absl::MutexLock lock(&mu_);
    streams.assign(streams_.begin(), streams_.end());
  }
  for (const auto& stream : streams) stream->TickProgress();
}

}  // namespace strata::rpc
