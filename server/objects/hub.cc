#include "server/objects/hub.h"

#include <absl/time/time.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace strata::objects {
namespace {

constexpr size_t kReadBytes = 1 << 20;  // of history, in one turn
// What an object takes in memory beside its record: a message's members, its strings.
constexpr size_t kObjectFactor = 3;
constexpr size_t kEventBytes = 512;
constexpr std::chrono::seconds kLongestSleep{1};

// Of metrics, where there is more than one hub.
obs::Labels LabelsOf(const std::vector<const Kind*>& kinds) {
  std::string names;
  for (const Kind* kind : kinds) names += (names.empty() ? "" : ",") + kind->resource.name;
  return {{"resources", names}};
}

}  // namespace

Hub::Hub(const replica::History& history, const records::Keys& keys, std::vector<const Kind*> kinds,
         const Options& options, const base::Clock& clock, const obs::Logger& log,
         obs::Metrics& metrics)
    : history_(history),
      keys_(keys),
      kinds_(std::move(kinds)),
      options_(options),
      clock_(clock),
      log_(log),
      events_(metrics.AddCounter("strata_watch_cache_events_total",
                                 "Events that somebody watched for.", LabelsOf(kinds_))),
      ends_(metrics.AddCounter("strata_watch_history_breaks_total",
                               "Times that all watches were ended because the history broke off.",
                               LabelsOf(kinds_))),
      buffers_(options.buffer_bytes) {
  const obs::Labels labels = LabelsOf(kinds_);
  metrics.AddGaugeFunction("strata_watch_buffer_bytes",
                           "Bytes of frames that were made for watches and aren't sent.", labels,
                           [this] { return static_cast<double>(buffers_.taken()); });
  metrics.AddGaugeFunction("strata_watches", "Watches that are open.", labels,
                           [this] { return static_cast<double>(watches_); });
  metrics.AddGaugeFunction("strata_watch_cache_bytes", "Bytes of the events that watches share.",
                           labels, [this] { return static_cast<double>(kept_bytes_); });
  metrics.AddCounterFunction("strata_watches_behind_total",
                             "Times that a watch was too slow for the shared events and read on "
                             "from the history.",
                             labels, [this] { return static_cast<double>(behind_); });
}

Hub::~Hub() {
  Stop();
}

void Hub::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Hub::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stop_.request_stop();
  }
  if (thread_.joinable()) thread_.join();
}

void Hub::EndWatches() {
  {
    absl::MutexLock lock(&mu_);
    draining_ = true;
  }
  EndScopes();
}

void Hub::EndList(base::Revision revision) {
  absl::MutexLock lock(&mu_);
  known_ = revision;
  const bool continues = std::exchange(epoch_, history_.epoch()) == history_.epoch();
  if (told_ == 0) {  // the first: nobody watches yet
    told_ = reading_ = revision;
  } else if (!continues) {
    replaced_ = true;
  }
}

void Hub::Apply(const std::vector<reflector::Batch>&, base::Revision revision) {
  absl::MutexLock lock(&mu_);
  known_ = revision;
}

std::shared_ptr<Scope> Hub::Enter(const Kind& kind, const ListQuery& query) {
  ScopeKey key{&kind.resource, query.ns, query.name.value_or("")};
  absl::MutexLock lock(&mu_);
  Entry& entry = scopes_[key];
  if (entry.scope == nullptr) {
    entry.scope = std::make_shared<Scope>(std::move(key), reading_);
    if (draining_) entry.scope->End();
  }
  ++entry.watches;
  ++watches_;
  return entry.scope;
}

void Hub::Leave(const Scope& scope, const Watch& watch) {
  ScopePointer last;  // freed outside of the lock
  absl::MutexLock lock(&mu_);
  --watches_;
  times_.erase({watch.due_, &watch});
  const auto found = scopes_.find(scope.key());
  if (found == scopes_.end() || found->second.scope.get() != &scope) return;
  if (--found->second.watches > 0) return;
  last = std::move(found->second.scope);
  scopes_.erase(found);
}

void Hub::CallAt(base::MonotonicTime time, const std::shared_ptr<Watch>& watch) {
  absl::MutexLock lock(&mu_);
  watch->due_ = time;
  times_[{time, watch.get()}] = watch;
}

void Hub::Run() {
  const auto due = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return stop_.stop_requested() || replaced_ || known_ > told_ ||
           (scopes_.empty() && kept_bytes_ > 0) ||
           (!times_.empty() && times_.begin()->first.first < asleep_until_);
  };
  for (;;) {
    base::Revision to = 0;
    bool replaced = false;
    {
      absl::MutexLock lock(&mu_);
      const base::MonotonicTime now = clock_.Now();
      asleep_until_ = now + kLongestSleep;
      if (!times_.empty()) asleep_until_ = std::min(asleep_until_, times_.begin()->first.first);
      mu_.AwaitWithTimeout(absl::Condition(&due), absl::FromChrono(asleep_until_ - now));
      if (stop_.stop_requested()) return;
      to = known_;
      replaced = std::exchange(replaced_, false);
      reading_ = to;
    }
    if (replaced) BreakOff("everything was listed anew");
    if (to > told_) Advance(to);
    DropUnwatched();
    CallDue();
  }
}

void Hub::Advance(base::Revision to) {
  base::Revision from = told_ + 1;
  while (from <= to) {
    {
      absl::MutexLock lock(&mu_);
      if (scopes_.empty()) break;
    }
    const auto wants = [this](base::Revision revision, const records::Id& id) {
      return Wants(revision, id);
    };
    const auto next = history_.Changes({from, to, kReadBytes, wants, stop_.get_token()},
                                       [this](const replica::Event& change) { Take(change); });
    if (stop_.stop_requested()) return;
    if (!next.ok()) {
      log_.Warning("Watches end: the history can't be read",
                   {{"reason", std::string(base::Message(next.status()))}});
      BreakOff("unreadable");
      break;
    }
    Keep();
    from = *next;
    told_ = from - 1;
    WakeAll();
  }
  told_ = to;
}

void Hub::WakeAll() {
  for (const auto& watch : woken_) watch->Wake();
  woken_.clear();
}

std::vector<Hub::ScopePointer> Hub::ScopesOf(const Kind& kind, const records::Id& id) const {
  std::vector<ScopePointer> scopes;
  if (kind.record != id.kind) return scopes;
  std::vector<ScopeKey> keys = {{&kind.resource, "", ""}, {&kind.resource, id.ns, id.name}};
  if (!id.ns.empty()) keys.push_back({&kind.resource, id.ns, ""});
  absl::MutexLock lock(&mu_);
  for (const ScopeKey& key : keys) {
    const auto found = scopes_.find(key);
    if (found != scopes_.end()) scopes.push_back(found->second.scope);
  }
  return scopes;
}

// What one write changes has no bound, and others wait for what follows: once the room is full,
// those who would get more of it read for themselves.
bool Hub::Wants(base::Revision revision, const records::Id& id) {
  if (revision != coming_.revision) Keep();
  coming_.revision = revision;
  const bool is_full = coming_.bytes > options_.cache_bytes.Of(kept_bytes_);
  bool wanted = false;
  for (const Kind* kind : kinds_) {
    std::vector<ScopePointer> scopes = ScopesOf(*kind, id);
    if (is_full) {
      std::ranges::move(scopes, std::inserter(coming_.behind, coming_.behind.end()));
    } else {
      wanted = wanted || !scopes.empty();
    }
  }
  return wanted;
}

void Hub::Take(const replica::Event& change) {
  for (const Kind* kind : kinds_) {
    Kept kept;
    kept.scopes = ScopesOf(*kind, change.now.id);
    if (kept.scopes.empty()) continue;
    kept.event = EventOf(*kind, change);
    if (kept.event == nullptr) continue;
    const base::WallTime now = clock_.WallNow();
    const Event::Meaning meaning = kept.event->meaning();
    for (const ScopePointer& scope : kept.scopes) {
      for (const WatchForm& form : scope->forms()) kept.event->Keep(form, meaning.before, now);
    }
    kept.bytes =
        kEventBytes + kept.event->record_bytes() * kObjectFactor + kept.event->encoded_bytes();
    coming_.bytes += kept.bytes;
    coming_.events.push_back(std::move(kept));
  }
  const size_t most = options_.cache_bytes.Of(kept_bytes_);
  while (!kept_.empty() && kept_bytes_ + coming_.bytes > most) DropOldest();
}

void Hub::Keep() {
  std::map<ScopePointer, Scope::Events> added;
  const auto woken = std::back_inserter(woken_);
  for (Kept& kept : coming_.events) {
    events_.Increment();
    std::erase_if(kept.scopes, [&](const auto& scope) { return coming_.behind.contains(scope); });
    if (kept.scopes.empty()) continue;
    kept_bytes_ += kept.bytes;
    for (const ScopePointer& scope : kept.scopes) added[scope].push_back(kept.event);
    kept_.push_back(std::move(kept));
  }
  for (auto& [scope, events] : added) std::ranges::move(scope->Add(std::move(events)), woken);
  for (const ScopePointer& scope : coming_.behind)
    std::ranges::move(scope->Skip(coming_.revision), woken);
  coming_ = {};
}

void Hub::DropOldest() {
  const base::Revision oldest = kept_.front().event->revision();
  for (; !kept_.empty() && kept_.front().event->revision() == oldest; kept_.pop_front()) {
    for (const ScopePointer& scope : kept_.front().scopes) scope->Drop(oldest);
    kept_bytes_ -= kept_.front().bytes;
  }
}

void Hub::DropUnwatched() {
  {
    absl::MutexLock lock(&mu_);
    if (!scopes_.empty()) return;
  }
  kept_.clear();
  kept_bytes_ = 0;
}

void Hub::BreakOff(const char* why) {
  log_.Info("Watches end, and their clients begin anew", {{"reason", why}});
  ends_.Increment();
  EndScopes();
  WakeAll();  // who was told something of it already waits no more for its scope
  coming_ = {};
  kept_.clear();
  kept_bytes_ = 0;
  absl::MutexLock lock(&mu_);
  told_ = reading_;
}

void Hub::EndScopes() {
  std::vector<ScopePointer> ended;
  {
    absl::MutexLock lock(&mu_);
    for (auto& [key, entry] : scopes_) ended.push_back(std::move(entry.scope));
    scopes_.clear();
  }
  for (const ScopePointer& scope : ended) scope->End();
}

void Hub::CallDue() {
  const base::MonotonicTime now = clock_.Now();
  std::vector<std::weak_ptr<Watch>> due;
  {
    absl::MutexLock lock(&mu_);
    while (!times_.empty() && times_.begin()->first.first <= now) {
      due.push_back(std::move(times_.begin()->second));
      times_.erase(times_.begin());
    }
  }
  for (const auto& one : due) {
    const auto watch = one.lock();
    if (watch == nullptr) continue;
    const base::MonotonicTime next = watch->OnTime(now);
    if (next > now) CallAt(next, watch);
  }
}

}  // namespace strata::objects
