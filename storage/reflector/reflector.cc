#include "storage/reflector/reflector.h"

#include <absl/time/time.h>
#include <fmt/format.h>

#include <charconv>
#include <future>
#include <utility>

namespace strata::reflector {
namespace {

// A pause isn't cut short before this, whoever could reach the backend meanwhile.
constexpr std::chrono::milliseconds kLeastPause(100);

// How long the standby may take to answer before all is listed instead.
constexpr std::chrono::milliseconds kStandbyPatience(1000);

// How long the watch may take to show that it lives.
constexpr std::chrono::milliseconds kProofPatience(1000);

// A key of our range that is no record's, and never written. It ends with no slash: kine would take
// it for a folder.
std::string Probe(const records::Keys& keys) {
  return keys.begin() + ".";
}

int64_t Milliseconds(base::MonotonicTime::duration time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

}  // namespace

bool ProgressIsKnownWrong(const std::string& version) {
  int part[3] = {0, 0, 0};
  const char* at = version.data();
  const char* const end = version.data() + version.size();
  for (int& number : part) {
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc()) return false;  // not etcd's numbering: nothing is known
    at = next < end && *next == '.' ? next + 1 : next;
  }
  if (part[0] != 3) return part[0] < 3;
  if (part[1] == 4) return part[2] < 31;
  if (part[1] == 5) return part[2] < 13;
  return part[1] < 4;
}

Reflector::Reflector(client::Client& client, records::Keys keys, Consumer& consumer,
                     const Options& options, const base::Clock& clock, const obs::Logger& log,
                     obs::Metrics& metrics)
    : client_(client),
      keys_(std::move(keys)),
      one_key_{.key = keys_.begin(), .count_only = true},
      consumer_(consumer),
      options_(options),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      image_events_(metrics.AddCounter("strata_watch_events_total",
                                       "Changes that the watch delivered.",
                                       {{"resource", "images"}})),
      stream_events_(metrics.AddCounter("strata_watch_events_total",
                                        "Changes that the watch delivered.",
                                        {{"resource", "imagestreams"}})),
      watch_breaks_(metrics.AddCounter("strata_watch_breaks_total",
                                       "Watch streams that ended before their time.")),
      list_metrics_(metrics),
      backoff_(options.backoff),
      barrier_(options.barrier, *this, clock, metrics),
      standby_(
          client, Probe(keys_), options.backoff, clock, [this] { return barrier_.current(); },
          metrics) {}

Reflector::~Reflector() {
  Stop();
}

void Reflector::Start() {
  barrier_.Start();
  standby_.Start();
  thread_ = std::thread([this] { Run(); });
}

void Reflector::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
    if (watch_ != nullptr) watch_->Cancel();
    if (list_ != nullptr) list_->Cancel();
  }
  cancellation_.Cancel();
  standby_.Stop();
  if (thread_.joinable()) thread_.join();
  barrier_.Stop();
}

bool Reflector::stopping() const {
  absl::MutexLock lock(&mu_);
  return stopping_;
}

base::Status Reflector::connection() const {
  absl::MutexLock lock(&mu_);
  return connection_;
}

void Reflector::SetConnection(base::Status status) {
  absl::MutexLock lock(&mu_);
  connection_ = std::move(status);
}

bool Reflector::SetWatch(std::shared_ptr<client::Watch> watch) {
  absl::MutexLock lock(&mu_);
  watch_ = std::move(watch);
  return !stopping_;
}

void Reflector::Pause(std::chrono::milliseconds time) {
  const auto least = std::min(time, kLeastPause);
  absl::MutexLock lock(&mu_);
  mu_.AwaitWithTimeout(absl::Condition(&stopping_), absl::FromChrono(least));
  nudged_ = false;
  const auto go_on = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_ || nudged_; };
  mu_.AwaitWithTimeout(absl::Condition(&go_on), absl::FromChrono(time - least));
}

base::MonotonicTime Reflector::ReadDeadline() const {
  return clock_.Now() + options_.barrier.read_timeout;
}

KeyRange Reflector::WholeRange() const {
  if (whole_prefix_) return {keys_.begin_of_all(), keys_.end_of_all()};
  return {keys_.begin(), keys_.end()};
}

void Reflector::Run() {
  const char* reason = "start";
  std::shared_ptr<client::Watch> watch;
  base::StatusOr<client::WatchMessage> first = client::WatchMessage();
  while (!stopping()) {
    if (watch == nullptr) {
      metrics_
          .AddCounter("strata_relists_total", "Lists of all records, by their reason.",
                      {{"reason", reason}})
          .Increment();
      auto listed = ListAndWatch();
      if (!listed.ok()) {
        if (!SetWatch(nullptr)) return;
        SetConnection(listed.status());
        const auto pause = backoff_.Next();
        log_.Warning("Listing the records failed; trying again",
                     {{"err", listed.status()}, {"in_ms", pause.count()}});
        Pause(pause);
        continue;
      }
      watch = std::move(listed->watch);
      first = std::move(listed->first);
    }
    const End end = Follow(*watch, std::move(first));
    SetWatch(nullptr);
    watch->Cancel();
    watch = nullptr;
    if (end == End::kStopped) return;
    barrier_.Detach();
    if (end == End::kBroken) {
      watch_breaks_.Increment();
      if (auto taken = TakeStandby()) {
        watch = std::move(taken->watch);
        first = std::move(taken->first);
        continue;
      }
    }
    standby_.Dismiss();
    reason = end == End::kBroken ? "broken" : end == End::kCompacted ? "compacted" : "restored";
    // A backend that answers every list by ending the watch isn't listed without end, and of many
    // servers that lost it at one time each comes back at another.
    if (end == End::kBroken || !progressed_) Pause(backoff_.Next());
  }
}

std::optional<Standby::Taken> Reflector::TakeStandby() {
  auto taken = standby_.Take(revision_, clock_.Now() + kStandbyPatience);
  if (!taken || !SetWatch(taken->watch)) {
    log_.Info("No other stream has the watch's history; listing anew", {{"revision", revision_}});
    return std::nullopt;
  }
  log_.Info("The watch goes on where it was, on another stream", {{"revision", revision_ + 1}});
  LearnVersion(taken->version);
  standby_.StandBy(taken->watch, cluster_id_, WholeRange());
  return taken;
}

void Reflector::LearnVersion(const std::string& version) {
  if (version.empty()) return;  // kine may not tell
  const bool wrong = ProgressIsKnownWrong(version);
  if (wrong && trust_progress_) {
    log_.Warning(
        "This etcd sends wrong progress notifications; each freshness check asks for its newest "
        "change instead, for "
        "which it sorts all records. Upgrade it to 3.4.31, 3.5.13 or later",
        {{"version", version}});
  }
  trust_progress_ = !wrong;
}

base::StatusOr<Reflector::Listed> Reflector::ListAndWatch() {
  const std::shared_ptr<client::Watch> watch = client_.OpenStream(Probe(keys_));
  if (!SetWatch(watch)) return base::CancelledError("stopping");
  STRATA_ASSIGN_OR_RETURN(const uint64_t cluster_id, watch->AwaitOpen());
  LearnVersion(watch->Version(ReadDeadline(), &cancellation_).value_or(""));
  const auto start = clock_.Now();
  STRATA_ASSIGN_OR_RETURN(const auto now, client_.Range(one_key_, ReadDeadline(), &cancellation_));
  if (now.cluster_id != cluster_id)
    return base::UnavailableError("one endpoint is of another cluster than the next");
  whole_prefix_ = now.cluster_id == 0;
  const KeyRange range = WholeRange();
  consumer_.BeginList();
  const auto found = List(now, range);
  // The list counts once its stream is seen to have outlived it.
  if (found.ok()) watch->Begin({range.begin, range.end, now.revision + 1});
  auto first = found.ok() ? watch->Next() : found.status();
  if (!first.ok()) {
    consumer_.AbortList();
    return first.status();
  }
  consumer_.EndList(now.revision);
  revision_ = now.revision;
  newest_change_ = found->newest;
  key_count_ = found->count;
  cluster_id_ = now.cluster_id;
  progressed_ = false;
  barrier_.Publish(revision_, newest_change_, key_count_, /*after_list=*/true);
  log_.Info("Listed all records", {{"records", key_count_},
                                   {"revision", revision_},
                                   {"ms", Milliseconds(clock_.Now() - start)}});
  standby_.StandBy(watch, cluster_id, range);
  return Listed{watch, *std::move(first)};
}

base::StatusOr<Lister::Found> Reflector::List(const client::RangeResult& now,
                                              const KeyRange& range) {
  const auto cancellation = std::make_shared<client::Cancellation>();
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) return base::CancelledError("stopping");
    list_ = cancellation;
  }
  auto found = Lister(client_, keys_, consumer_, options_.list, now, /*divisible=*/!whole_prefix_,
                      *cancellation, clock_, list_metrics_)
                   .List(range);
  if (found.ok() && stopping()) return base::CancelledError("stopping");
  return found;
}

Reflector::End Reflector::Follow(client::Watch& watch,
                                 base::StatusOr<client::WatchMessage> message) {
  SetConnection(base::OkStatus());
  barrier_.Attach();
  {
    absl::MutexLock lock(&mu_);
    following_ = true;
  }
  while (message.ok()) {
    Deliver(*std::move(message));
    message = watch.Next();
  }
  SetConnection(message.status());
  {
    absl::MutexLock lock(&mu_);
    following_ = false;
    if (stopping_) return End::kStopped;
    if (std::exchange(restored_, false)) return End::kRestored;
  }
  if (message.status().code() == base::StatusCode::kOutOfRange) {
    log_.Info("The watch's revision was compacted; listing anew", {{"revision", revision_ + 1}});
    return End::kCompacted;
  }
  log_.Info("The watch broke", {{"err", message.status()}, {"revision", revision_ + 1}});
  return End::kBroken;
}

void Reflector::Deliver(client::WatchMessage message) {
  if (message.events.empty() && !trust_progress_) return;
  if (message.revision <= revision_) return;  // seen before a resume
  std::vector<Batch> batches;
  for (client::Event& event : message.events) {
    if (event.revision <= revision_) continue;
    const bool deleted = event.type == client::Event::Type::kDelete;
    key_count_ += event.created ? 1 : deleted ? -1 : 0;
    newest_change_ = event.revision;
    auto id = keys_.Parse(event.key);
    if (!id) continue;
    (id->kind == records::Kind::kImage ? image_events_ : stream_events_).Increment();
    if (batches.empty() || batches.back().revision != event.revision)
      batches.push_back({event.revision, {}});
    batches.back().changes.push_back(
        deleted ? records::Deleted(*std::move(id), event.revision)
                : records::Decode(*std::move(id), std::move(event.value), event.revision));
  }
  revision_ = message.revision;
  backoff_.Reset();
  progressed_ = true;
  consumer_.Apply(std::move(batches), revision_);
  barrier_.Publish(revision_, newest_change_, key_count_, /*after_list=*/false);
}

bool Reflector::Prove(base::MonotonicTime deadline) {
  while (clock_.Now() < deadline) {
    std::shared_ptr<client::Watch> watch;
    {
      absl::MutexLock lock(&mu_);
      const auto decided = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return following_ || stopping_;
      };
      mu_.AwaitWithTimeout(absl::Condition(&decided), absl::FromChrono(deadline - clock_.Now()));
      if (!following_ || stopping_) return false;
      watch = watch_;
    }
    // It ends early when another takes over from it.
    if (watch->Ping(deadline)) return true;
    absl::MutexLock lock(&mu_);
    const auto replaced = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return watch_ != watch || !following_ || stopping_;
    };
    mu_.AwaitWithTimeout(absl::Condition(&replaced), absl::FromChrono(deadline - clock_.Now()));
  }
  return false;
}

base::StatusOr<Barrier::Target> Reflector::Read(base::MonotonicTime deadline) {
  const bool trust = trust_progress_;
  client::RangeOptions range = one_key_;
  if (!trust) {
    const KeyRange all = WholeRange();
    range = {.key = all.begin, .end = all.end, .limit = 1, .keys_only = true, .newest_first = true};
  }
  const auto now = client_.RangeDirectly(range, deadline, &cancellation_);
  if (!now.ok()) return now.status();
  // The member that didn't answer may be the watch's.
  if (now->moved) standby_.Race();
  if (synced() && now->cluster_id != cluster_id_) {
    log_.Warning("The backend is another cluster than the one that was listed; listing anew",
                 {{"cluster_id", now->cluster_id}, {"listed", cluster_id_.load()}});
    Restored();
    return base::UnavailableError("the backend is another cluster than the one that was listed");
  }
  {
    absl::MutexLock lock(&mu_);
    nudged_ = true;
  }
  if (now->dialled) unproven_ = true;
  if (unproven_ && !Prove(std::min(deadline, clock_.Now() + kProofPatience)))
    return base::UnavailableError("the watch doesn't answer");
  unproven_ = false;
  if (trust) return Barrier::Target{now->revision, -1, -1};
  return Barrier::Target{now->revision, now->kvs.empty() ? 0 : now->kvs[0].mod_revision,
                         now->count};
}

void Reflector::RequestProgress() {
  if (!trust_progress_) return;
  std::shared_ptr<client::Watch> watch;
  {
    absl::MutexLock lock(&mu_);
    watch = watch_;
  }
  if (watch != nullptr) watch->RequestProgress();
}

void Reflector::WatchLags() {
  standby_.Race();
}

void Reflector::Restored() {
  absl::MutexLock lock(&mu_);
  if (!following_) return;
  restored_ = true;
  watch_->Cancel();
}

}  // namespace strata::reflector
