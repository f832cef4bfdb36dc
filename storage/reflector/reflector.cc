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
      health_(log),
      backoff_(options.backoff),
      barrier_(options.barrier, *this, clock, metrics) {}

Reflector::~Reflector() {
  Stop();
}

void Reflector::Start() {
  barrier_.Start();
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
  if (thread_.joinable()) thread_.join();
  barrier_.Stop();
}

bool Reflector::stopping() const {
  absl::MutexLock lock(&mu_);
  return stopping_;
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
  const char* reason = "start";
  bool list = true;
  while (!stopping()) {
    if (list) {
      metrics_
          .AddCounter("strata_relists_total", "Lists of all records, by their reason.",
                      {{"reason", reason}})
          .Increment();
      LearnVersion();
      if (const base::Status status = List(); !status.ok()) {
        if (stopping()) return;
        health_.Set(Health::Part::kWatch, status);
        Pause(backoff_.Next());
        continue;
      }
      list = false;
    }
    const End end = WatchOnce();
    if (end == End::kStopped) return;
    barrier_.Detach();
    if (end == End::kBroken) {
      watch_breaks_.Increment();
      Pause(backoff_.Next());
      // kine tells neither cluster nor term, counts what it isn't asked for, and before 0.14 has no
      // keys without values: nothing there could show that its history goes on.
      list = cluster_id_ == 0;
      reason = "unidentified";
      continue;
    }
    reason = end == End::kCompacted ? "compacted" : "restored";
    list = true;
    health_.Set(Health::Part::kWatch, base::UnavailableError("the records are listed anew"));
    // A backend that answers every list by ending the watch isn't listed without end.
    if (!progressed_) Pause(backoff_.Next());
  }
}

void Reflector::LearnVersion() {
  const auto version = client_.Version(ReadDeadline(), &cancellation_);
  if (!version.ok())
    return;  // kine may not tell; what follows will fail by itself if the backend is away
  const bool wrong = ProgressIsKnownWrong(*version);
  if (wrong && trust_progress_) {
    log_.Warning(
        "This etcd sends wrong progress notifications; each freshness check asks for its newest "
        "change instead, for "
        "which it sorts all records. Upgrade it to 3.4.31, 3.5.13 or later",
        {{"version", *version}});
  }
  trust_progress_ = !wrong;
}

base::Status Reflector::List() {
  const auto start = clock_.Now();
  STRATA_ASSIGN_OR_RETURN(const auto now, client_.Range(one_key_, ReadDeadline(), &cancellation_));
  whole_prefix_ = now.cluster_id == 0;
  const auto cancellation = std::make_shared<client::Cancellation>();
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) return base::CancelledError("stopping");
    list_ = cancellation;
  }
  consumer_.BeginList();
  auto found = Lister(client_, keys_, consumer_, options_.list, now, /*divisible=*/!whole_prefix_,
                      *cancellation, clock_, list_metrics_)
                   .List(WholeRange());
  if (found.ok() && stopping()) found = base::CancelledError("stopping");
  if (!found.ok()) {
    consumer_.AbortList();
    return found.status();
  }
  consumer_.EndList(now.revision);
  if (revision_ == 0 && found->count == 0) {
    log_.Warning("There are no images and no image streams: is --etcd-prefix right?",
                 {{"prefix", keys_.begin_of_all()}, {"etcd", client_.endpoints()}});
  }
  revision_ = now.revision;
  newest_change_ = found->newest;
  newest_key_ = std::move(found->newest_key);
  newest_is_deletion_ = false;
  key_count_ = found->count;
  cluster_id_ = now.cluster_id;
  raft_term_ = now.raft_term;
  just_listed_ = true;
  progressed_ = false;
  {
    absl::MutexLock lock(&mu_);
    restored_ = false;
  }
  barrier_.Publish(revision_, newest_change_, key_count_, /*after_list=*/true);
  log_.Info("Listed all records", {{"records", key_count_},
                                   {"revision", revision_},
                                   {"ms", Milliseconds(clock_.Now() - start)}});
  return base::OkStatus();
}

// Whether the watch, which is open but hasn't been listened to, continues what we have. etcd
// accepts a watch from a revision that it doesn't have yet, and would stay silent until it is
// reached a second time; and a store that was restored may have reached it already, by other
// changes. A restored etcd begins again with its terms; where it has come as far with them too, its
// state at our revision is compared with ours: the newest change, and the number of keys.
std::optional<Reflector::End> Reflector::CheckTimeline(bool just_listed) {
  const auto failed = [this](const base::Status& status) {
    health_.Set(Health::Part::kWatch, status);
    return End::kBroken;
  };
  const auto other = [this](const char* what, const client::RangeResult& found) {
    log_.Warning("The backend has another history; listing anew",
                 {{"what", what},
                  {"revision", found.revision},
                  {"ours", revision_},
                  {"cluster_id", found.cluster_id}});
    return End::kRestored;
  };
  const auto now = client_.Range(one_key_, ReadDeadline(), &cancellation_);
  if (!now.ok()) return failed(now.status());
  if (now->cluster_id != cluster_id_) return other("cluster id", *now);
  if (now->revision < revision_) return other("revision", *now);
  if (now->raft_term < raft_term_) return other("raft term", *now);
  raft_term_ = now->raft_term;
  if (just_listed) return std::nullopt;
  const auto compacted = [this] {
    log_.Info("The watch's revision was compacted; listing anew", {{"revision", revision_}});
    return End::kCompacted;
  };
  if (!newest_key_.empty()) {
    const auto newest =
        client_.Range({.key = newest_key_, .revision = revision_, .keys_only = true},
                      ReadDeadline(), &cancellation_);
    if (newest.status().code() == base::StatusCode::kOutOfRange) return compacted();
    if (!newest.ok()) return failed(newest.status());
    const base::Revision found = newest->kvs.empty() ? 0 : newest->kvs[0].mod_revision;
    if (found != (newest_is_deletion_ ? 0 : newest_change_)) return other("newest change", *newest);
  }
  const KeyRange all = WholeRange();
  const auto count =
      client_.Range({.key = all.begin, .end = all.end, .revision = revision_, .count_only = true},
                    ReadDeadline(), &cancellation_);
  if (count.status().code() == base::StatusCode::kOutOfRange) return compacted();
  if (!count.ok()) return failed(count.status());
  if (count->count != key_count_) return other("number of keys", *count);
  return std::nullopt;
}

Reflector::End Reflector::WatchOnce() {
  const KeyRange range = WholeRange();
  std::shared_ptr<client::Watch> watch = client_.OpenWatch({range.begin, range.end, revision_ + 1});
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) return End::kStopped;
    watch_ = watch;
  }
  const End end = Follow(*watch);
  absl::MutexLock lock(&mu_);
  watch_ = nullptr;
  if (stopping_) return End::kStopped;
  return restored_ ? End::kRestored : end;
}

Reflector::End Reflector::Follow(client::Watch& watch) {
  // The first message confirms the watch. What is read after it is of the history that it shows: a
  // restore ends all streams.
  base::StatusOr<client::WatchMessage> message = watch.Next();
  const bool just_listed = std::exchange(just_listed_, false);
  if (message.ok()) {
    if (!just_listed) LearnVersion();
    if (const auto end = CheckTimeline(just_listed)) return *end;
    health_.Set(Health::Part::kWatch, base::OkStatus());
    barrier_.Attach();
  }
  while (message.ok()) {
    Deliver(*std::move(message));
    message = watch.Next();
  }
  if (stopping()) return End::kStopped;
  if (message.status().code() == base::StatusCode::kOutOfRange) {
    log_.Info("The watch's revision was compacted; listing anew", {{"revision", revision_ + 1}});
    return End::kCompacted;
  }
  health_.Set(Health::Part::kWatch, message.status());
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
    newest_key_ = event.key;
    newest_is_deletion_ = deleted;
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

base::StatusOr<Barrier::Target> Reflector::Read(base::MonotonicTime deadline) {
  const bool trust = trust_progress_;
  client::RangeOptions range = one_key_;
  if (!trust) {
    const KeyRange all = WholeRange();
    range = {.key = all.begin, .end = all.end, .limit = 1, .keys_only = true, .newest_first = true};
  }
  const auto now = client_.RangeDirectly(range, deadline, &cancellation_);
  NoteRead(now.status());
  if (!now.ok()) return now.status();
  if (trust) return Barrier::Target{now->revision, -1, -1};
  return Barrier::Target{now->revision, now->kvs.empty() ? 0 : now->kvs[0].mod_revision,
                         now->count};
}

base::Status Reflector::Probe(base::MonotonicTime deadline) {
  client_.LookAtFiles();
  const base::Status status = client_.RangeDirectly(one_key_, deadline, &cancellation_).status();
  NoteRead(status);
  return status;
}

void Reflector::NoteRead(const base::Status& status) {
  if (absl::IsCancelled(status)) return;
  {
    absl::MutexLock lock(&mu_);
    // It has come back: the watch may try at once.
    if (std::exchange(reads_failed_, !status.ok()) && status.ok()) nudged_ = true;
  }
  health_.Set(Health::Part::kReads, status);
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

void Reflector::Restored() {
  absl::MutexLock lock(&mu_);
  restored_ = true;
  if (watch_ != nullptr) watch_->Cancel();
}

}  // namespace strata::reflector
