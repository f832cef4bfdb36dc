#include "storage/reflector/reflector.h"

#include <absl/time/time.h>

#include <algorithm>
#include <utility>

#include "storage/records/kinds.h"
#include "storage/reflector/progress.h"
#include "storage/reflector/signs.h"

namespace strata::reflector {
namespace {

// A pause isn't cut short before this, whoever could reach the backend meanwhile.
constexpr std::chrono::milliseconds kLeastPause(100);

// How long the standby may take to answer before all is listed instead.
constexpr std::chrono::milliseconds kStandbyPatience(1000);

// How long a read over a new connection waits until it is known to be of our history; and each of
// the processes that may show it.
constexpr std::chrono::milliseconds kProofPatience(1000);
constexpr std::chrono::milliseconds kPingPatience(250);

// A watch that shows no life so often, while reads are answered, is given up: its connection's
// keepalive would take a quarter of a minute.
constexpr int kMostFailedProofs = 3;

// A key of our range that is no record's, and never written. It ends with no slash: kine would take
// it for a folder.
std::string ProbeKey(const records::Keys& keys) {
  return keys.begin() + ".";
}

int64_t Milliseconds(base::MonotonicTime::duration time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

obs::Counter Relists(obs::Metrics& metrics, const char* reason) {
  return metrics.AddCounter("strata_relists_total", "Lists of all records, by their reason.",
                            {{"reason", reason}});
}

obs::Counter Events(obs::Metrics& metrics, records::Kind kind) {
  return metrics.AddCounter("strata_watch_events_total", "Changes that the watch delivered.",
                            {{"resource", std::string(records::NamesOf(kind).resource)}});
}

}  // namespace

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
      image_events_(Events(metrics, records::Kind::kImage)),
      stream_events_(Events(metrics, records::Kind::kImageStream)),
      watch_breaks_(metrics.AddCounter("strata_watch_breaks_total",
                                       "Watch streams that ended before their time.")),
      relists_{Relists(metrics, "start"), Relists(metrics, "broken"), Relists(metrics, "compacted"),
               Relists(metrics, "restored"), Relists(metrics, "lost")},
      list_metrics_(metrics),
      health_(log),
      backoff_(options.backoff),
      barrier_(options.barrier, *this, clock, metrics),
      standby_(
          client, ProbeKey(keys_), options.backoff, clock, [this] { return barrier_.current(); },
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

bool Reflector::SetWatch(std::shared_ptr<client::Watch> watch) {
  absl::MutexLock lock(&mu_);
  watch_ = std::move(watch);
  return !stopping_;
}

void Reflector::Pause(std::chrono::milliseconds time) {
  const auto least = std::min(time, kLeastPause);
  absl::MutexLock lock(&mu_);
  mu_.AwaitWithTimeout(absl::Condition(&stopping_), absl::FromChrono(least));
  const auto go_on = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_ || nudged_; };
  mu_.AwaitWithTimeout(absl::Condition(&go_on), absl::FromChrono(time - least));
  nudged_ = false;
}

base::MonotonicTime Reflector::ReadDeadline() const {
  return clock_.Now() + options_.barrier.read_timeout;
}

KeyRange Reflector::WholeRange() const {
  if (whole_prefix_) return {keys_.begin_of_all(), keys_.end_of_all()};
  return {keys_.begin(), keys_.end()};
}

void Reflector::Run() {
  const obs::Counter* reason = &relists_.start;
  std::shared_ptr<client::Watch> watch;
  client::WatchMessage first;
  while (!stopping()) {
    if (watch == nullptr) {
      auto listed = ListAndWatch();
      if (!listed.ok()) {
        if (!SetWatch(nullptr)) return;
        health_.Set(Health::Part::kWatch, listed.status());
        Pause(backoff_.Next());
        continue;
      }
      reason->Increment();
      watch = std::move(listed->watch);
      first = std::move(listed->first);
    }
    base::Status why;
    const End end = Follow(*watch, std::exchange(first, {}), why);
    SetWatch(nullptr);
    watch->Cancel();
    watch = nullptr;
    if (end == End::kStopped) return;
    barrier_.Detach();
    if (end == End::kBroken) {
      watch_breaks_.Increment();
      if (auto taken = TakeStandby(why)) {
        watch = std::move(taken->watch);
        first = std::move(taken->first);
        continue;
      }
    } else {
      why = base::UnavailableError("the records are listed anew");
    }
    standby_.Dismiss();
    health_.Set(Health::Part::kWatch, why);
    reason = end == End::kBroken      ? &relists_.broken
             : end == End::kCompacted ? &relists_.compacted
             : end == End::kLost      ? &relists_.lost
                                      : &relists_.restored;
    // A backend that answers every list by ending the watch isn't listed without end, and of many
    // servers that lost it at one time each comes back at another.
    if (end == End::kBroken || !progressed_) Pause(backoff_.Next());
  }
}

std::optional<Standby::Taken> Reflector::TakeStandby(const base::Status& why) {
  auto taken = standby_.Take(revision_, clock_.Now() + kStandbyPatience);
  if (!taken || !SetWatch(taken->watch)) return std::nullopt;
  log_.Info("The watch goes on where it was, on another stream",
            {{"revision", revision_ + 1}, {"err", why}});
  LearnVersion(taken->version, cluster_id_);
  standby_.StandBy(taken->watch, cluster_id_, WholeRange());
  return taken;
}

void Reflector::LearnVersion(const std::string& version, uint64_t cluster_id) {
  const bool trusted = ProgressCanBeTrusted(version, cluster_id);
  if (!trusted && trust_progress_) {
    log_.Warning(
        "This etcd isn't known to send right progress notifications; each freshness check asks for "
        "its newest change instead, for which it sorts all records. Upgrade it to 3.4.31, 3.5.13 "
        "or later, and let it tell its version",
        {{"version", version}});
  }
  trust_progress_ = trusted;
}

base::StatusOr<Reflector::Listed> Reflector::ListAndWatch() {
  const std::shared_ptr<client::Watch> watch = client_.OpenStream(ProbeKey(keys_));
  if (!SetWatch(watch)) return base::CancelledError("stopping");
  STRATA_ASSIGN_OR_RETURN(const uint64_t cluster_id, watch->AwaitOpen(ReadDeadline()));
  STRATA_ASSIGN_OR_RETURN(const std::string version,
                          watch->Version(ReadDeadline(), &cancellation_));
  LearnVersion(version, cluster_id);
  const auto start = clock_.Now();
  STRATA_ASSIGN_OR_RETURN(const auto now, client_.Range(one_key_, ReadDeadline(), &cancellation_));
  if (now.cluster_id != cluster_id)
    return base::UnavailableError("one endpoint is of another cluster than the next");
  whole_prefix_ = now.cluster_id == 0;
  const KeyRange range = WholeRange();
  consumer_.BeginList();
  const auto found = List(now, range);
  // The list counts once its stream is seen to have outlived it.
  auto first = found.ok() ? watch->Begin({range.begin, range.end, now.revision + 1}, ReadDeadline())
                          : found.status();
  if (!first.ok()) {
    consumer_.AbortList();
    return first.status();
  }
  consumer_.EndList(now.revision);
  if (revision_ == 0 && found->count == 0) {
    log_.Warning("There are no images and no image streams: is --etcd-prefix right?",
                 {{"prefix", keys_.begin_of_all()}, {"etcd", client_.endpoints()}});
  }
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

Reflector::End Reflector::Follow(client::Watch& watch, client::WatchMessage first,
                                 base::Status& why) {
  health_.Set(Health::Part::kWatch, base::OkStatus());
  barrier_.Attach();
  {
    absl::MutexLock lock(&mu_);
    following_ = true;
  }
  base::StatusOr<client::WatchMessage> message = std::move(first);
  while (message.ok()) {
    Deliver(*std::move(message));
    message = watch.Next();
  }
  why = message.status();
  {
    absl::MutexLock lock(&mu_);
    following_ = false;
    if (stopping_) return End::kStopped;
    if (const auto ended = std::exchange(ended_, std::nullopt)) return *ended;
  }
  if (why.code() != base::StatusCode::kOutOfRange) return End::kBroken;
  log_.Info("The watch's revision was compacted; listing anew", {{"revision", revision_ + 1}});
  return End::kCompacted;
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
  consumer_.Apply(batches, revision_);
  barrier_.Publish(revision_, newest_change_, key_count_, /*after_list=*/false);
}

base::StatusOr<client::RangeResult> Reflector::ReadDirectly(const client::RangeOptions& range,
                                                            base::MonotonicTime deadline) {
  ListIfLost();
  auto now = client_.RangeDirectly(range, deadline, &cancellation_);
  NoteRead(now.status());
  if (!now.ok()) return now;
  if (now->dialled) unproven_ = true;
  // The member that didn't answer may be the watch's.
  if (now->moved) standby_.Race();
  if (!synced() || now->cluster_id == cluster_id_) return now;
  EndHistory("cluster id");
  return base::UnavailableError("the backend is another cluster than the one that was listed");
}

bool Reflector::Prove(base::MonotonicTime deadline) {
  Signs signs;
  while (clock_.Now() < deadline) {
    const auto soon = std::min(deadline, clock_.Now() + kPingPatience);
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
    if (signs.Await(watch, soon) || signs.Await(standby_.stream(), clock_.Now() + kPingPatience)) {
      return true;
    }
    // The first ends early when the other stream takes over.
    absl::MutexLock lock(&mu_);
    const auto replaced = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      return watch_ != watch || !following_ || stopping_;
    };
    mu_.AwaitWithTimeout(absl::Condition(&replaced), absl::FromChrono(soon - clock_.Now()));
  }
  return false;
}

base::Status Reflector::EnsureHistory(base::MonotonicTime deadline) {
  if (!unproven_.exchange(false)) return base::OkStatus();
  if (Prove(std::min(deadline, clock_.Now() + kProofPatience))) {
    if (std::exchange(failed_proofs_, 0) > 0) health_.Set(Health::Part::kReads, base::OkStatus());
    return base::OkStatus();
  }
  unproven_ = true;
  const base::Status silent =
      base::UnavailableError("the watch of the storage backend shows no life");
  health_.Set(Health::Part::kReads, silent);
  if (++failed_proofs_ >= kMostFailedProofs) GiveWatchUp();
  return silent;
}

base::StatusOr<Barrier::Target> Reflector::Read(base::MonotonicTime deadline) {
  const bool trust = trust_progress_;
  client::RangeOptions range = one_key_;
  if (!trust) {
    const KeyRange all = WholeRange();
    range = {.key = all.begin, .end = all.end, .limit = 1, .keys_only = true, .newest_first = true};
  }
  STRATA_ASSIGN_OR_RETURN(const client::RangeResult now, ReadDirectly(range, deadline));
  STRATA_RETURN_IF_ERROR(EnsureHistory(deadline));
  if (trust) return Barrier::Target{now.revision, -1, -1};
  return Barrier::Target{now.revision, now.kvs.empty() ? 0 : now.kvs[0].mod_revision, now.count};
}

base::Status Reflector::Probe(base::MonotonicTime deadline) {
  client_.LookAtFiles();
  STRATA_RETURN_IF_ERROR(ReadDirectly(one_key_, deadline).status());
  // Nobody may ask who isn't ready: what has failed is tried again.
  return failed_proofs_ > 0 ? EnsureHistory(deadline) : base::OkStatus();
}

void Reflector::NoteRead(const base::Status& status) {
  if (absl::IsCancelled(status)) return;
  {
    absl::MutexLock lock(&mu_);
    // It has come back: the watch may try at once.
    if (std::exchange(reads_failed_, !status.ok()) && status.ok()) nudged_ = true;
  }
  if (!status.ok() || failed_proofs_ == 0) health_.Set(Health::Part::kReads, status);
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
  // Nobody overtakes it: the next read asks whether it lives.
  if (!standby_.ready()) unproven_ = true;
}

void Reflector::GiveWatchUp() {
  failed_proofs_ = 0;
  absl::MutexLock lock(&mu_);
  if (following_) watch_->GiveUp();
}

void Reflector::Restored() {
  EndHistory("revision");
}

bool Reflector::ListAnew(End why, const client::Watch* watch) {
  absl::MutexLock lock(&mu_);
  if (!following_ || ended_ || (watch != nullptr && watch_.get() != watch)) return false;
  ended_ = why;
  watch_->Cancel();
  return true;
}

// The barrier comes by each second at least, where a watch may bring nothing for minutes.
void Reflector::ListIfLost() {
  std::shared_ptr<client::Watch> watch;
  {
    absl::MutexLock lock(&mu_);
    if (following_) watch = watch_;
  }
  if (watch == nullptr || !consumer_.needs_list() || !ListAnew(End::kLost, watch.get())) return;
  log_.Info("What was held of the records is lost; listing anew",
            {{"revision", barrier_.current()}});
}

void Reflector::EndHistory(const char* what) {
  if (!ListAnew(End::kRestored)) return;
  log_.Warning("The backend has another history; listing anew", {{"what", what}});
}

}  // namespace strata::reflector
