#include "storage/rpc/watch_stream.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "storage/engine/errors.h"

namespace strata::rpc {
namespace {

namespace pb = etcdserverpb;
using engine::Revision;

// What stands for all watches of a stream, and for one that couldn't be made.
constexpr int64_t kNoWatch = -1;

// A client that asks faster than it reads isn't read from until it has caught up.
constexpr size_t kMaxAnswersBeforeReading = 64;

// How often a step that finds nothing to send reads on before other streams have their turn.
constexpr int kReadsPerStep = 16;

// What an event costs beside its key and value.
constexpr size_t kEventOverhead = 64;

constexpr size_t kUncountedSteps = 4;

const std::string kFromKey(1, '\0');

}  // namespace

bool WatchStream::Watch::Wants(const engine::Change& change) const {
  if (change.revision() < next || (change.deleted() ? no_delete : no_put)) return false;
  const std::string_view changed = change.key();
  if (range_end.empty()) return changed == key;
  return changed >= key && (range_end == kFromKey || changed < range_end);
}

// A step that is as large as it should be counts against nobody: it is small, and one a stream.
WatchStream::WatchStream(WatchService& service)
    : service_(service),
      store_(service.store_),
      step_(store_.NewAnswer(kUncountedSteps * service.options_.step_bytes)) {}

void WatchStream::Begin() {
  absl::MutexLock lock(&mu_);
  self_ = shared_from_this();
  Proceed();
}

void WatchStream::OnReadDone(bool ok) {
  bool wake = false;
  {
    absl::MutexLock lock(&mu_);
    reading_ = false;
    if (ok) {
      Handle(request_);
      wake = true;
    } else {
      End(grpc::Status::OK);
    }
    Proceed();
  }
  if (wake) service_.Wake(self_);
}

void WatchStream::OnWriteDone(bool ok) {
  bool wake = false;
  {
    absl::MutexLock lock(&mu_);
    writing_ = false;
    out_.pop_front();
    if (out_.empty()) step_.Restart();
    if (!ok) End(grpc::Status::CANCELLED);
    Proceed();
    wake = !writing_ && !ended_;
  }
  if (wake) service_.Wake(self_);
}

void WatchStream::OnCancel() {
  absl::MutexLock lock(&mu_);
  End({grpc::StatusCode::CANCELLED, "etcdserver: watch canceled"});
  Proceed();
}

void WatchStream::OnDone() {
  std::shared_ptr<WatchStream> self;
  {
    absl::MutexLock lock(&mu_);
    service_.watches_gauge_.Add(-static_cast<double>(watches_.size()));
    watches_.clear();
    self = std::move(self_);
  }
  service_.Forget(self);
}

void WatchStream::Stop(const grpc::Status& why) {
  absl::MutexLock lock(&mu_);
  End(why);
  Proceed();
}

void WatchStream::End(const grpc::Status& status) {
  if (ended_) return;
  ended_ = true;
  end_ = status;
}

void WatchStream::Proceed() {
  if (finished_) return;
  if (ended_) {
    if (writing_) return;
    finished_ = true;
    return Finish(end_);
  }
  if (!writing_ && !out_.empty()) {
    writing_ = true;
    // What others follow needn't go out by itself: thousands of watches of one key are answered in
    // a few packets.
    grpc::WriteOptions options;
    if (out_.size() > 1) options.set_buffer_hint();
    StartWrite(&out_.front().response, options);
  }
  // Also while an answer is on its way: a client may ask before it reads.
  if (!reading_ && out_.size() < kMaxAnswersBeforeReading) {
    reading_ = true;
    StartRead(&request_);
  }
}

WatchStream::Answer::~Answer() {
  while (response.events_size() > 0) response.mutable_events()->UnsafeArenaReleaseLast();
}

void WatchStream::Answer::Add(Event event) {
  response.mutable_events()->UnsafeArenaAddAllocated(event.get());
  events_.push_back(std::move(event));
}

WatchStream::Answer& WatchStream::Queue(int64_t id, Revision revision) {
  Answer& answer = out_.emplace_back();
  service_.identity_.Fill(answer.response.mutable_header(), revision);
  answer.response.set_watch_id(id);
  return answer;
}

void WatchStream::Handle(const pb::WatchRequest& request) {
  switch (request.request_union_case()) {
    case pb::WatchRequest::kCreateRequest:
      return Create(request.create_request());
    case pb::WatchRequest::kCancelRequest:
      return Cancel(request.cancel_request().watch_id());
    case pb::WatchRequest::kProgressRequest:
      progress_wanted_ = true;
      return;
    case pb::WatchRequest::REQUEST_UNION_NOT_SET:
      return;  // from a newer client: no reason to end its other watches
  }
}

int64_t WatchStream::ChooseId(int64_t wanted) {
  if (wanted != 0) return wanted;
  while (watches_.contains(next_id_)) ++next_id_;
  return next_id_++;
}

void WatchStream::Create(const pb::WatchCreateRequest& request) {
  Watch watch;
  watch.key = request.key().empty() ? kFromKey : request.key();
  watch.range_end = request.range_end();
  watch.prev_kv = request.prev_kv();
  watch.fragment = request.fragment();
  watch.progress_notify = request.progress_notify();
  for (const int filter : request.filters()) {
    watch.no_put |= filter == pb::WatchCreateRequest::NOPUT;
    watch.no_delete |= filter == pb::WatchCreateRequest::NODELETE;
  }

  // What reads see: who has read a change isn't told of it again.
  Revision current = 0;
  const base::Status seen = store_.Look([&](const engine::View& newest) {
    current = newest.revision();
    return base::OkStatus();
  });
  if (!seen.ok()) return End(ToGrpc(seen));
  std::string refusal;
  if (!watch.range_end.empty() && watch.range_end != kFromKey && watch.range_end <= watch.key) {
    refusal = "mvcc: watcher range is empty";
  } else if (request.watch_id() != 0 && watches_.contains(request.watch_id())) {
    refusal = "mvcc: duplicate watch ID provided on the WatchStream";
  } else if (watches_.size() >= service_.options_.max_watches_per_stream) {
    refusal = "etcdserver: too many watches on the stream";
  }
  if (!refusal.empty()) {
    pb::WatchResponse& response = Queue(kNoWatch, current).response;
    response.set_created(true);
    response.set_canceled(true);
    response.set_cancel_reason(refusal);
    return;
  }

  const int64_t id = ChooseId(request.watch_id());
  Queue(id, current).response.set_created(true);
  const Revision start = request.start_revision();
  if (start == 0 || start > current) {
    watch.next = start == 0 ? current + 1 : start;
    watch.synced = true;
    if (!any_synced()) position_ = current + 1;
  } else {
    watch.next = std::max<Revision>(start, 0);
  }
  watches_.emplace(id, std::move(watch));
  service_.watches_gauge_.Add(1);
}

void WatchStream::Cancel(int64_t id) {
  if (watches_.erase(id) == 0) return;
  service_.watches_gauge_.Add(-1);
  Queue(id, store_.revision()).response.set_canceled(true);
}

void WatchStream::CancelCompacted(int64_t id, const engine::ChangesEnd& seen) {
  watches_.erase(id);
  service_.watches_gauge_.Add(-1);
  pb::WatchResponse& response = Queue(id, seen.current).response;
  response.set_canceled(true);
  response.set_compact_revision(seen.compacted);
}

bool WatchStream::any_synced() const {
  return std::any_of(watches_.begin(), watches_.end(),
                     [](const auto& entry) { return entry.second.synced; });
}

void WatchStream::TickProgress() {
  {
    absl::MutexLock lock(&mu_);
    bool any = false;
    for (auto& [id, watch] : watches_) {
      if (!watch.progress_notify) continue;
      watch.progress_due = watch.quiet;
      any |= watch.quiet;
      watch.quiet = true;
    }
    if (!any) return;
  }
  service_.Wake(shared_from_this());
}

void WatchStream::Step() {
  absl::MutexLock lock(&mu_);
  if (ended_ || writing_ || !out_.empty()) return;
  if (std::chrono::steady_clock::now() < step_after_) {
    if (!std::exchange(gathering_, true)) service_.WakeAt(step_after_, self_);
    return;
  }
  gathering_ = false;
  for (int reads = 0; out_.empty() && !ended_; ++reads) {
    if (reads == kReadsPerStep) return service_.Wake(self_);
    ReadForSynced();
    if (!out_.empty() || ended_) break;
    if (ReadForOneLagging() || (any_synced() && position_ <= store_.revision())) continue;
    TellProgress();
    break;
  }
  Proceed();
}

void WatchStream::Gather(size_t answers) {
  if (answers < service_.options_.many_answers) return;
  step_after_ = std::chrono::steady_clock::now() + answers * service_.options_.answer_time;
}

base::StatusOr<WatchStream::Event> WatchStream::MakeEvent(const engine::Change& change,
                                                          bool with_prev) {
  auto event = std::make_shared<mvccpb::Event>();
  event->set_type(change.deleted() ? mvccpb::Event::DELETE : mvccpb::Event::PUT);
  Encode(change.kv(), event->mutable_kv());
  if (!with_prev) return event;
  STRATA_ASSIGN_OR_RETURN(auto prev, change.Prev());
  if (prev) Encode(*std::move(prev), event->mutable_prev_kv());
  return event;
}

void WatchStream::ReadForSynced() {
  if (store_.revision() < position_ || !any_synced()) return;
  std::map<int64_t, Events> events;
  step_.Restart();
  const auto end = store_.Changes(
      position_, service_.options_.step_bytes,
      [&](const engine::Change& change) ABSL_NO_THREAD_SAFETY_ANALYSIS -> base::StatusOr<size_t> {
        size_t taken = 0;
        std::array<Event, 2> made;  // without, and with what was before
        for (const auto& [id, watch] : watches_) {
          if (!watch.synced || !watch.Wants(change)) continue;
          Event& event = made[watch.prev_kv ? 1 : 0];
          if (event == nullptr) {
            STRATA_ASSIGN_OR_RETURN(event, MakeEvent(change, watch.prev_kv));
            STRATA_RETURN_IF_ERROR(step_.Add(event->ByteSizeLong() + kEventOverhead));
            taken += event->ByteSizeLong();
          }
          events[id].push_back(event);
          taken += kEventOverhead;
        }
        return taken;
      });
  if (!end.ok()) return End(ToGrpc(end.status()));
  if (end->next < end->compacted) {
    // The client took so long that the history it still needs was compacted away. Those that wait
    // for a later revision miss nothing.
    std::vector<int64_t> lost;
    for (auto& [id, watch] : watches_) {
      if (watch.synced && std::max(watch.next, position_) < end->compacted) lost.push_back(id);
    }
    for (const int64_t id : lost) CancelCompacted(id, *end);
    position_ = end->compacted;
    return;
  }
  position_ = end->next;
  for (auto& [id, found] : events) {
    Watch& watch = watches_.at(id);
    watch.quiet = false;
    SendEvents(id, watch, std::move(found), position_ - 1);
  }
  // What is there already needn't be waited for.
  if (end->next > end->current) Gather(events.size());
}

bool WatchStream::ReadForOneLagging() {
  const auto lags = [](const auto& entry) { return !entry.second.synced; };
  auto found = std::find_if(watches_.upper_bound(last_lagging_), watches_.end(), lags);
  if (found == watches_.end()) found = std::find_if(watches_.begin(), watches_.end(), lags);
  if (found == watches_.end()) return false;
  const int64_t id = found->first;
  Watch& watch = found->second;
  last_lagging_ = id;

  Events events;
  step_.Restart();
  const auto end = store_.Changes(
      watch.next, service_.options_.step_bytes,
      [&](const engine::Change& change) ABSL_NO_THREAD_SAFETY_ANALYSIS -> base::StatusOr<size_t> {
        if (!watch.Wants(change)) return 0;
        STRATA_ASSIGN_OR_RETURN(Event event, MakeEvent(change, watch.prev_kv));
        events.push_back(std::move(event));
        const size_t taken = events.back()->ByteSizeLong() + kEventOverhead;
        STRATA_RETURN_IF_ERROR(step_.Add(taken));
        return taken;
      });
  if (!end.ok()) {
    End(ToGrpc(end.status()));
    return false;
  }
  if (end->next < end->compacted) {
    CancelCompacted(id, *end);
    return true;
  }
  watch.next = end->next;
  if (end->next > end->current) {
    if (!any_synced()) position_ = end->next;
    // Behind the others it comes back for what they have seen meanwhile; ahead of them, `next`
    // keeps it from seeing anything twice.
    watch.synced = watch.next >= position_;
  }
  if (!events.empty()) {
    watch.quiet = false;
    SendEvents(id, watch, std::move(events), end->next - 1);
  }
  return true;
}

void WatchStream::SendEvents(int64_t id, const Watch& watch, Events events, Revision seen) {
  service_.events_.Increment(static_cast<double>(events.size()));
  const size_t limit = watch.fragment ? service_.options_.fragment_bytes : SIZE_MAX;
  Answer* answer = &Queue(id, seen);
  size_t size = 0;
  for (Event& event : events) {
    const size_t more = limit == SIZE_MAX ? 0 : event->ByteSizeLong();
    if (size > 0 && size + more > limit) {
      answer->response.set_fragment(true);
      answer = &Queue(id, seen);
      size = 0;
    }
    size += more;
    answer->Add(std::move(event));
  }
}

void WatchStream::TellProgress() {
  const bool all_synced = std::all_of(
      watches_.begin(), watches_.end(), [this](const auto& entry) ABSL_NO_THREAD_SAFETY_ANALYSIS {
        return entry.second.synced && entry.second.next <= position_;
      });
  // etcd forgets a request that it can't answer yet, and has clients repeat it; here the answer
  // comes when it can be given. A stream without watches has nothing to tell.
  if (progress_wanted_ && watches_.empty()) progress_wanted_ = false;
  if (progress_wanted_ && all_synced) {
    progress_wanted_ = false;
    Queue(kNoWatch, position_ - 1);
  }
  for (auto& [id, watch] : watches_) {
    if (!watch.progress_due || !watch.synced || watch.next > position_) continue;
    watch.progress_due = false;
    Queue(id, position_ - 1);
  }
}

}  // namespace strata::rpc
