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

// The key after `key`, for the next page.
std::string After(std::string key) {
  key.push_back('\0');
  return key;
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
  }
  cancellation_.Cancel();
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

client::RangeOptions Reflector::WholeRange() const {
  if (whole_prefix_) return {.key = keys_.begin_of_all(), .end = keys_.end_of_all()};
  return {.key = keys_.begin(), .end = keys_.end()};
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
        SetConnection(status);
        const auto pause = backoff_.Next();
        log_.Warning("Listing the records failed; trying again",
                     {{"err", status}, {"in_ms", pause.count()}});
        Pause(pause);
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
      continue;
    }
    reason = end == End::kCompacted ? "compacted" : "restored";
    list = true;
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

// One list: where it stands, and what was learned on the way.
struct Reflector::Listing {
  client::RangeOptions range;
  base::Revision newest = 0;
  std::string newest_key{};
  int64_t count = 0;
};

// The next page, smaller if the backend or gRPC finds it too large.
base::StatusOr<client::RangeResult> Reflector::FetchPage(Listing& listing) {
  while (true) {
    auto page =
        client_.Range(listing.range, clock_.Now() + options_.request_timeout, &cancellation_);
    if (page.status().code() != base::StatusCode::kResourceExhausted || listing.range.limit == 1)
      return page;
    listing.range.limit = std::max<int64_t>(1, listing.range.limit / 2);
  }
}

base::Status Reflector::List() {
  const auto start = clock_.Now();
  STRATA_ASSIGN_OR_RETURN(const auto now, client_.Range(one_key_, ReadDeadline(), &cancellation_));
  whole_prefix_ = now.cluster_id == 0;
  Listing listing{.range = WholeRange()};
  listing.range.limit = options_.page_size;
  listing.range.revision = now.revision;
  consumer_.BeginList();
  // The next page is on its way while the consumer decodes the one before.
  auto next = std::async(std::launch::deferred, [&] { return FetchPage(listing); });
  while (true) {
    auto page = next.get();
    base::Status status = page.status();
    if (status.ok() && stopping()) status = base::CancelledError("stopping");
    if (status.ok() && (page->cluster_id != now.cluster_id || page->raft_term < now.raft_term ||
                        page->revision < now.revision)) {
      status = base::UnavailableError("the backend was put back while it was listed");
    }
    if (!status.ok()) {
      consumer_.AbortList();
      return status;
    }
    size_t bytes = 0;
    for (const client::KeyValue& kv : page->kvs) {
      bytes += kv.key.size() + kv.value.size();
      if (kv.mod_revision <= listing.newest) continue;
      listing.newest = kv.mod_revision;
      listing.newest_key = kv.key;
    }
    listing.count += static_cast<int64_t>(page->kvs.size());
    const bool more = page->more && !page->kvs.empty();
    if (more) {
      listing.range.key = After(page->kvs.back().key);
      if (bytes > options_.page_bytes)
        listing.range.limit = std::max<int64_t>(1, listing.range.limit / 2);
      next = std::async(std::launch::async, [&] { return FetchPage(listing); });
    }
    std::vector<records::Change> changes;
    changes.reserve(page->kvs.size());
    for (const client::KeyValue& kv : page->kvs) {
      if (auto id = keys_.Parse(kv.key))
        changes.push_back(records::Decode(*std::move(id), kv.value, kv.mod_revision));
    }
    consumer_.ListPage(std::move(changes));
    if (!more) break;
  }
  consumer_.EndList(now.revision);
  revision_ = now.revision;
  newest_change_ = listing.newest;
  newest_key_ = std::move(listing.newest_key);
  newest_is_deletion_ = false;
  key_count_ = listing.count;
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
    SetConnection(status);
    log_.Warning("The backend can't be reached; trying again", {{"err", status}});
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
  if (cluster_id_ == 0) return std::nullopt;  // kine counts its current keys whatever it is asked
  client::RangeOptions all = WholeRange();
  all.revision = revision_;
  all.count_only = true;
  const auto count = client_.Range(all, ReadDeadline(), &cancellation_);
  if (count.status().code() == base::StatusCode::kOutOfRange) return compacted();
  if (!count.ok()) return failed(count.status());
  if (count->count != key_count_) return other("number of keys", *count);
  return std::nullopt;
}

Reflector::End Reflector::WatchOnce() {
  const client::RangeOptions range = WholeRange();
  std::shared_ptr<client::Watch> watch = client_.OpenWatch({range.key, range.end, revision_ + 1});
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
    SetConnection(base::OkStatus());
    barrier_.Attach();
  }
  while (message.ok()) {
    Deliver(*std::move(message));
    message = watch.Next();
  }
  SetConnection(message.status());
  if (stopping()) return End::kStopped;
  if (message.status().code() == base::StatusCode::kOutOfRange) {
    log_.Info("The watch's revision was compacted; listing anew", {{"revision", revision_ + 1}});
    return End::kCompacted;
  }
  log_.Info("The watch broke; resuming", {{"err", message.status()}, {"revision", revision_ + 1}});
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
                : records::Decode(*std::move(id), event.value, event.revision));
  }
  revision_ = message.revision;
  backoff_.Reset();
  progressed_ = true;
  consumer_.Apply(std::move(batches), revision_);
  barrier_.Publish(revision_, newest_change_, key_count_, /*after_list=*/false);
}

base::StatusOr<Barrier::Target> Reflector::Read(base::MonotonicTime deadline) {
  const bool trust = trust_progress_;
  client::RangeOptions range = trust ? one_key_ : WholeRange();
  if (!trust) {
    range.limit = 1;
    range.keys_only = true;
    range.newest_first = true;
  }
  const auto now = client_.Range(range, deadline, &cancellation_);
  if (!now.ok()) return now.status();
  {
    absl::MutexLock lock(&mu_);
    nudged_ = true;
  }
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

void Reflector::Restored() {
  absl::MutexLock lock(&mu_);
  restored_ = true;
  if (watch_ != nullptr) watch_->Cancel();
}

}  // namespace strata::reflector
