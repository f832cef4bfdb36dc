#include "storage/reflector/reflector.h"

#include <absl/time/time.h>
#include <fmt/format.h>

#include <charconv>
#include <future>
#include <utility>

namespace strata::reflector {
namespace {

// The key after `key`, for the next page.
std::string After(std::string key) {
  key.push_back('\0');
  return key;
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

Reflector::Reflector(client::Client& client, records::Keys keys, Consumer& consumer, const Options& options,
                     const base::Clock& clock, const obs::Logger& log, obs::Metrics& metrics)
    : client_(client),
      keys_(std::move(keys)),
      consumer_(consumer),
      options_(options),
      clock_(clock),
      log_(log),
      metrics_(metrics),
      image_events_(metrics.AddCounter("strata_watch_events_total", "Changes that the watch delivered.",
                                       {{"resource", "images"}})),
      stream_events_(metrics.AddCounter("strata_watch_events_total", "Changes that the watch delivered.",
                                        {{"resource", "imagestreams"}})),
      watch_breaks_(metrics.AddCounter("strata_watch_breaks_total", "Watch streams that ended before their time.")),
      backoff_(options.backoff),
      barrier_(options.barrier, *this, clock, metrics) {}

Reflector::~Reflector() { Stop(); }

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
  absl::MutexLock lock(&mu_);
  mu_.AwaitWithTimeout(absl::Condition(&stopping_), absl::FromChrono(time));
}

base::MonotonicTime Reflector::RequestDeadline() const { return clock_.Now() + options_.request_timeout; }

void Reflector::Run() {
  const char* reason = "start";
  bool list = true;
  while (!stopping()) {
    if (list) {
      metrics_.AddCounter("strata_relists_total", "Lists of all records, by their reason.", {{"reason", reason}})
          .Increment();
      LearnVersion();
      if (const base::Status status = List(); !status.ok()) {
        if (stopping()) return;
        SetConnection(status);
        const auto pause = backoff_.Next();
        log_.Warning("Listing the records failed; trying again", {{"err", status}, {"in_ms", pause.count()}});
        Pause(pause);
        continue;
      }
      backoff_.Reset();
      list = false;
    }
    switch (WatchOnce()) {
      case End::kStopped:
        return;
      case End::kBroken:
        watch_breaks_.Increment();
        Pause(backoff_.Next());
        break;
      case End::kCompacted:
        reason = "compacted";
        list = true;
        break;
      case End::kRestored:
        reason = "restored";
        list = true;
        break;
    }
  }
}

void Reflector::LearnVersion() {
  const auto version = client_.Version(RequestDeadline());
  if (!version.ok()) return;  // kine may not tell; what follows will fail by itself if the backend is away
  const bool wrong = ProgressIsKnownWrong(*version);
  if (wrong && trust_progress_) {
    log_.Warning(
        "This etcd sends wrong progress notifications; each freshness check asks for its newest change instead, which "
        "costs it more. Upgrade it to 3.4.31, 3.5.13 or later",
        {{"version", *version}});
  }
  trust_progress_ = !wrong;
}

base::Status Reflector::List() {
  const auto start = clock_.Now();
  client::RangeOptions range{.key = keys_.begin(), .end = keys_.end(), .limit = options_.page_size};
  base::Revision newest = 0;
  int64_t count = 0;
  uint64_t cluster = 0;
  bool begun = false;
  // The next page is on its way while the consumer decodes the one before.
  const auto fetch = [this](client::RangeOptions r) { return client_.Range(r, RequestDeadline()); };
  auto next = std::async(std::launch::deferred, fetch, range);
  while (true) {
    auto page = next.get();
    if (!page.ok() || stopping()) {
      if (begun) consumer_.AbortList();
      return page.ok() ? base::CancelledError("stopping") : page.status();
    }
    if (!begun) {
      begun = true;
      consumer_.BeginList();
      range.revision = page->revision;
      cluster = page->cluster_id;
    }
    const bool more = page->more && !page->kvs.empty();
    if (more) {
      range.key = After(page->kvs.back().key);
      next = std::async(std::launch::async, fetch, range);
    }
    std::vector<records::Change> changes;
    changes.reserve(page->kvs.size());
    for (const client::KeyValue& kv : page->kvs) {
      ++count;
      newest = std::max(newest, kv.mod_revision);
      if (auto id = keys_.Parse(kv.key)) changes.push_back(records::Decode(*std::move(id), kv.value, kv.mod_revision));
    }
    consumer_.ListPage(std::move(changes));
    if (!more) break;
  }
  consumer_.EndList(range.revision);
  revision_ = range.revision;
  newest_change_ = newest;
  key_count_ = count;
  cluster_id_ = cluster;
  {
    absl::MutexLock lock(&mu_);
    restored_ = false;
  }
  barrier_.Publish(revision_, newest_change_, key_count_, /*after_list=*/true);
  log_.Info("Listed all records",
            {{"records", count},
             {"revision", revision_},
             {"ms", std::chrono::duration_cast<std::chrono::milliseconds>(clock_.Now() - start).count()}});
  return base::OkStatus();
}

// Before a watch is opened again: the backend must be the same one, and not older than what we have. etcd accepts a watch
// from a revision that it doesn't have yet, and would stay silent until it is reached a second time.
base::Status Reflector::CheckTimeline() {
  const auto now = client_.Range({.key = keys_.begin(), .count_only = true}, RequestDeadline());
  if (!now.ok()) return now.status();
  if (now->revision < revision_ || now->cluster_id != cluster_id_) {
    return base::FailedPreconditionError(
        fmt::format("the backend is at revision {} of cluster {:x}, the index at {} of {:x}", now->revision,
                    now->cluster_id, revision_, cluster_id_));
  }
  return base::OkStatus();
}

Reflector::End Reflector::WatchOnce() {
  if (const base::Status status = CheckTimeline(); !status.ok()) {
    if (stopping()) return End::kStopped;
    SetConnection(status);
    if (status.code() == base::StatusCode::kFailedPrecondition) {
      log_.Warning("The backend went back in time; listing anew", {{"err", status}});
      return End::kRestored;
    }
    log_.Warning("The backend can't be reached; trying again", {{"err", status}});
    return End::kBroken;
  }
  std::shared_ptr<client::Watch> watch = client_.OpenWatch({keys_.begin(), keys_.end(), revision_ + 1});
  {
    absl::MutexLock lock(&mu_);
    if (stopping_) return End::kStopped;
    watch_ = watch;
  }
  base::StatusOr<client::WatchMessage> message = watch->Next();
  if (message.ok()) SetConnection(base::OkStatus());
  while (message.ok()) {
    backoff_.Reset();
    Deliver(*std::move(message));
    message = watch->Next();
  }
  absl::MutexLock lock(&mu_);
  watch_ = nullptr;
  connection_ = message.status();
  if (stopping_) return End::kStopped;
  if (restored_) return End::kRestored;
  if (message.status().code() == base::StatusCode::kOutOfRange) {
    log_.Info("The watch's revision was compacted; listing anew", {{"revision", revision_ + 1}});
    return End::kCompacted;
  }
  log_.Info("The watch broke; resuming", {{"err", message.status()}, {"revision", revision_ + 1}});
  return End::kBroken;
}

void Reflector::Deliver(client::WatchMessage message) {
  if (message.revision <= revision_ && message.events.empty()) return;
  if (message.events.empty() && !trust_progress_) return;
  std::vector<Batch> batches;
  for (client::Event& event : message.events) {
    if (event.revision <= revision_) continue;  // seen before a resume
    const bool deleted = event.type == client::Event::Type::kDelete;
    key_count_ += event.created ? 1 : deleted ? -1 : 0;
    newest_change_ = event.revision;
    auto id = keys_.Parse(event.key);
    if (!id) continue;
    (id->kind == records::Kind::kImage ? image_events_ : stream_events_).Increment();
    if (batches.empty() || batches.back().revision != event.revision) batches.push_back({event.revision, {}});
    batches.back().changes.push_back(deleted ? records::Deleted(*std::move(id), event.revision)
                                             : records::Decode(*std::move(id), event.value, event.revision));
  }
  revision_ = std::max(revision_, message.revision);
  consumer_.Apply(std::move(batches), revision_);
  barrier_.Publish(revision_, newest_change_, key_count_, /*after_list=*/false);
}

base::StatusOr<Barrier::Target> Reflector::Read(base::MonotonicTime deadline) {
  if (trust_progress_) {
    const auto now = client_.Range({.key = keys_.begin(), .count_only = true}, deadline);
    if (!now.ok()) return now.status();
    return Barrier::Target{now->revision, -1, -1};
  }
  const auto newest = client_.Range(
      {.key = keys_.begin(), .end = keys_.end(), .limit = 1, .keys_only = true, .newest_first = true}, deadline);
  if (!newest.ok()) return newest.status();
  return Barrier::Target{newest->revision, newest->kvs.empty() ? 0 : newest->kvs[0].mod_revision, newest->count};
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
