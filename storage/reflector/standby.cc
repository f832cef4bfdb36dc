#include "storage/reflector/standby.h"

#include <absl/time/time.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "storage/reflector/progress.h"

namespace strata::reflector {
namespace {

// How long a member may take to answer when the stream is opened.
constexpr std::chrono::seconds kPatience(5);
// How long a stream that was asked for something may be silent.
constexpr std::chrono::seconds kSilence(1);
// A member that has come back stands by again within a second.
constexpr std::chrono::milliseconds kMostPause(500);

client::Backoff::Options Shortened(client::Backoff::Options options) {
  options.most = std::min(options.most, kMostPause);
  return options;
}

}  // namespace

Standby::Standby(client::Client& client, std::string probe, const client::Backoff::Options& backoff,
                 const base::Clock& clock, std::function<base::Revision()> current,
                 obs::Metrics& metrics)
    : client_(client),
      probe_(std::move(probe)),
      clock_(clock),
      current_(std::move(current)),
      takeovers_(metrics.AddCounter("strata_watch_takeovers_total",
                                    "Watches that went on, on another stream, where one ended or "
                                    "fell silent.")),
      backoff_(Shortened(backoff)) {
  metrics.AddGaugeFunction("strata_watch_standby",
                           "1 if another stream could take over from the watch's.", {},
                           [this] { return ready() ? 1.0 : 0.0; });
}

Standby::~Standby() {
  Stop();
}

void Standby::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Standby::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    if (stream_ != nullptr) stream_->Cancel();
  }
  cancellation_.Cancel();
  if (thread_.joinable()) thread_.join();
}

void Standby::StandBy(std::shared_ptr<client::Watch> watch, uint64_t cluster_id, KeyRange range) {
  Dismiss();
  absl::MutexLock lock(&mu_);
  watch_ = std::move(watch);
  cluster_id_ = cluster_id;
  range_ = std::move(range);
}

void Standby::Dismiss() {
  absl::MutexLock lock(&mu_);
  watch_ = nullptr;
  phase_ = Phase::kNone;
  if (stream_ != nullptr) std::exchange(stream_, nullptr)->Cancel();
}

void Standby::Begin(base::Revision seen) {
  stream_->Ask({range_.begin, range_.end, seen + 1});
  phase_ = Phase::kBegun;
  ExpectAnswer();
}

void Standby::ExpectAnswer() {
  silent_from_ = std::min(silent_from_, clock_.Now() + kSilence);
}

bool Standby::ready() const {
  absl::MutexLock lock(&mu_);
  return phase_ != Phase::kNone && clock_.Now() < silent_from_;
}

void Standby::Race() {
  std::shared_ptr<client::Watch> stream;
  {
    absl::MutexLock lock(&mu_);
    // Read now: a stream that is ready has the history of what the index shows since its list.
    if (phase_ == Phase::kReady) Begin(current_());
    if (phase_ == Phase::kBegun && trust_progress_) stream = stream_;
    if (stream != nullptr) ExpectAnswer();
  }
  // What reads have told may be the revision of others' records.
  if (stream != nullptr) stream->RequestProgress();
}

std::shared_ptr<client::Watch> Standby::stream() const {
  absl::MutexLock lock(&mu_);
  return phase_ == Phase::kReady || phase_ == Phase::kBegun ? stream_ : nullptr;
}

std::optional<Standby::Taken> Standby::Take(base::Revision seen, base::MonotonicTime deadline) {
  absl::MutexLock lock(&mu_);
  if (phase_ == Phase::kReady) Begin(seen);
  wanted_ = true;
  // It may have said already that the watch is there.
  if (phase_ == Phase::kBegun) stream_->Poke();
  const auto decided = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stopping_ || phase_ == Phase::kNone || phase_ == Phase::kOffered;
  };
  mu_.AwaitWithTimeout(absl::Condition(&decided), absl::FromChrono(deadline - clock_.Now()));
  wanted_ = false;
  watch_ = nullptr;
  const bool offered = std::exchange(phase_, Phase::kNone) == Phase::kOffered && !stopping_;
  auto stream = std::exchange(stream_, nullptr);
  if (offered) takeovers_.Increment();
  if (offered) return Taken{std::move(stream), std::move(first_), version_};
  if (stream != nullptr) stream->Cancel();
  return std::nullopt;
}

bool Standby::AwaitWatch() {
  absl::MutexLock lock(&mu_);
  const auto wanted = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stopping_ || watch_ != nullptr;
  };
  mu_.Await(absl::Condition(&wanted));
  return !stopping_;
}

void Standby::Run() {
  for (size_t turn = 0; AwaitWatch(); ++turn) {
    StandByOnce(turn);
    absl::MutexLock lock(&mu_);
    mu_.AwaitWithTimeout(absl::Condition(&stopping_), absl::FromChrono(backoff_.Next()));
  }
}

void Standby::StandByOnce(size_t turn) {
  std::shared_ptr<client::Watch> watch;
  uint64_t cluster_id = 0;
  {
    absl::MutexLock lock(&mu_);
    watch = watch_;
    cluster_id = cluster_id_;
  }
  // Of a backend that says no cluster's name nothing is known of others, nor of itself.
  std::shared_ptr<client::Watch> stream = watch == nullptr || cluster_id == 0
                                              ? nullptr
                                              : client_.OpenStreamBeside(*watch, probe_, turn);
  {
    absl::MutexLock lock(&mu_);
    if (stopping_ || watch_ != watch) return;
    if (stream == nullptr) {
      watch_ = nullptr;
      return;
    }
    stream_ = stream;
  }
  std::string version;
  const bool proven = Prove(*stream, *watch, cluster_id, &version);
  {
    absl::MutexLock lock(&mu_);
    if (stream_ != stream) return;
    if (!proven) {
      stream_ = nullptr;
      return;
    }
    trust_progress_ = ProgressCanBeTrusted(version, cluster_id);
    version_ = std::move(version);
    phase_ = Phase::kReady;
    silent_from_ = base::MonotonicTime::max();
  }
  backoff_.Reset();
  Listen(*stream, *watch);
}

// Its process and the watch's live at the same time, and say that they are members of one cluster.
// The watch is asked after this stream was opened: so this one was open before that one can end.
bool Standby::Prove(client::Watch& stream, client::Watch& watch, uint64_t cluster_id,
                    std::string* version) {
  const auto found = stream.AwaitOpen(clock_.Now() + kPatience);
  if (!found.ok() || *found != cluster_id) return false;
  auto told = stream.Version(clock_.Now() + kPatience, &cancellation_);
  if (!told.ok()) return false;
  *version = *std::move(told);
  return watch.Ping(clock_.Now() + kPatience);
}

void Standby::Listen(client::Watch& stream, client::Watch& watch) {
  while (true) {
    auto message = stream.Next();
    bool won = false;
    {
      absl::MutexLock lock(&mu_);
      if (stream_.get() != &stream) return;
      silent_from_ = base::MonotonicTime::max();
      if (!message.ok()) {
        phase_ = Phase::kNone;
        stream_ = nullptr;
        return;
      }
      if (phase_ != Phase::kBegun) continue;
      if (!wanted_) {
        const bool progress = message->events.empty();
        if (message->revision == 0 || (progress && !trust_progress_)) continue;
        if (message->revision <= current_()) {
          if (progress) continue;  // nothing has come since, or its member lags too
          // The watch was there first: another stream, which isn't told everything, stands by.
          phase_ = Phase::kNone;
          std::exchange(stream_, nullptr)->Cancel();
          return;
        }
        won = true;
      }
      first_ = *std::move(message);
      phase_ = Phase::kOffered;
    }
    if (won) watch.GiveUp();
    absl::MutexLock lock(&mu_);
    const auto gone = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return stopping_ || stream_.get() != &stream;
    };
    mu_.Await(absl::Condition(&gone));
    return;
  }
}

}  // namespace strata::reflector
