#include "server/objects/watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "server/objects/hub.h"

namespace strata::objects {
namespace {

constexpr size_t kPieceBytes = 16 << 10;  // of frames in one turn, or of records for them
constexpr int kMostTurns = 4;             // on an io thread
constexpr size_t kMostGathered = 64;      // events in one turn, but for those of one revision
constexpr size_t kManyBytes = 1 << 20;    // of frames that are made before they are taken
// Bytes of a record that costs an io thread little to encode.
constexpr size_t kSmallRecord = 4 << 10;

// k8s.io/apiserver pkg/storage/cacher/cache_watcher.go.
constexpr std::chrono::seconds kBookmarkInterval{60};
constexpr std::chrono::seconds kBookmarkBeforeEnd{2};

}  // namespace

Watch::Watch(Hub& hub, const Kind& kind, WatchRequest request, std::function<void()> wake)
    : hub_(hub),
      kind_(kind),
      request_(std::move(request)),
      wake_(std::move(wake)),
      scope_(hub.Enter(kind, request_.query)),
      begun_(hub.clock().Now()),
      phase_(request_.initial_events ? Phase::kInitial : Phase::kHistory),
      form_(request_.form),
      delivered_(request_.query.revision),
      resumes_(request_.resumes) {
  form_.columns = form_.transform == wire::Transform::kTable;
  base::MutexLock lock(&scope_->mu);
  if (scope_->ended_) Stop();
  scope_->watches_.insert(this);
  ++scope_->forms_[request_.form];
}

Watch::~Watch() {
  {
    base::MutexLock lock(&scope_->mu);
    scope_->watches_.erase(this);
    const auto form = scope_->forms_.find(request_.form);
    if (--form->second == 0) scope_->forms_.erase(form);
  }
  hub_.Leave(*scope_, *this);
}

void Watch::Begin() {
  if (phase_ == Phase::kHistory) Join();
  hub_.CallAt(NextTime(begun_), shared_from_this());
}

base::MonotonicTime Watch::NextTime(base::MonotonicTime now) const {
  base::MonotonicTime next = request_.end;
  if (!request_.bookmarks) return next;
  if (request_.end - kBookmarkBeforeEnd > now) next = request_.end - kBookmarkBeforeEnd;
  return std::min(next, now + kBookmarkInterval);
}

base::MonotonicTime Watch::OnTime(base::MonotonicTime now) {
  const base::Revision told = hub_.told();
  bool wake = false;
  {
    base::MutexLock lock(&scope_->mu);
    if (now >= request_.end) {
      Stop();
    } else {
      bookmark_due_ = true;
    }
    wake = StopWaiting(told);
  }
  if (wake) wake_();
  return NextTime(now);
}

Watch::Next Watch::Take(std::string& out) {
  for (int turn = 0; turn < kMostTurns; ++turn) {
    if (!made_.empty()) {
      out = std::exchange(made_, {});
      room_.reset();
      return Next::kFrames;
    }
    if (phase_ == Phase::kOver) return Next::kEnd;
    if (phase_ != Phase::kLive) return Next::kWork;
    base::Revision bookmark = 0;
    if (pending_.empty()) {
      if (const auto next = Gather(bookmark)) return *next;
    }
    if (bookmark != 0) SendBookmark(bookmark, false, out);
    const bool sent = Send(/*may_encode=*/false, out);
    if (!out.empty()) return Next::kFrames;
    if (!sent) return Next::kWork;
  }
  // Of many events none was for this watch: others on this thread have their turn first.
  return Next::kWork;
}

bool Watch::StopWaiting(base::Revision seen) {
  if (!std::exchange(waiting_, false)) return false;
  seen_ = seen;
  return true;
}

std::optional<Watch::Next> Watch::Gather(base::Revision& bookmark) {
  base::MutexLock lock(&scope_->mu);
  // Before it is seen that nothing is left: what is told of later may not be here yet.
  const base::Revision told = hub_.told();
  if (stop_.stop_requested()) return Next::kEnd;
  if (seen_ >= delivered_) {
    delivered_ = seen_;
    resumes_ = false;
  }
  if (next_ < scope_->first_) {
    phase_ = Phase::kHistory;
    hub_.NoteBehind();
    return Next::kWork;
  }
  for (size_t at = next_ - scope_->first_; at < scope_->events_.size(); ++at) {
    const std::shared_ptr<Event>& event = scope_->events_[at];
    // A revision is taken whole, so that what was delivered is a revision.
    if (pending_.size() >= kMostGathered && pending_.back()->revision() != event->revision()) break;
    pending_.push_back(event);
    ++next_;
  }
  SkipSeen();
  if (!pending_.empty()) return std::nullopt;
  // A watch that begins with a revision to come has nothing to say before that.
  if (told >= delivered_ && std::exchange(bookmark_due_, false) && request_.bookmarks) {
    bookmark = told;
    return std::nullopt;
  }
  waiting_ = true;
  return Next::kWait;
}

void Watch::SkipSeen() {
  if (pending_.empty() || !std::exchange(resumes_, false)) return;
  const auto events = std::ranges::count_if(pending_, [&](const auto& event) {
    return event->revision() == delivered_ &&
           !event->MeaningTo(request_.query.selector).type.empty();
  });
  if (events <= 1) floor_ = delivered_;
}

bool Watch::Send(bool may_encode, std::string& out) {
  for (; !pending_.empty() && out.size() < kPieceBytes; pending_.pop_front()) {
    Event& event = *pending_.front();
    if (event.revision() <= floor_) continue;
    const Event::Meaning meaning = event.MeaningTo(request_.query.selector);
    if (!meaning.type.empty()) {
      auto object = event.Find(form_, meaning.before);
      if (object == nullptr && !may_encode && event.record_bytes() > kSmallRecord) return false;
      if (object == nullptr) object = event.Encode(form_, meaning.before, hub_.clock().WallNow());
      SendFrame(meaning.type, *object, out);
    }
    delivered_ = std::max(delivered_, event.revision());
  }
  return true;
}

void Watch::SendAll() {
  SkipSeen();
  while (!pending_.empty()) {
    std::string piece;
    Send(/*may_encode=*/true, piece);
    made_ += piece;
  }
}

void Watch::SendFrame(std::string_view type, std::string_view object, std::string& out) {
  AppendFrame(type, object, form_, out);
  form_.columns = false;
}

void Watch::SendBookmark(base::Revision revision, bool ends_initial_events, std::string& out) {
  const auto object = kind_.Bookmark(revision, ends_initial_events);
  SendFrame("BOOKMARK", EncodeObject(kind_.resource, *object, form_, hub_.clock().WallNow()), out);
}

void Watch::Work() {
  while (made_.empty() && phase_ != Phase::kOver) {
    if (stop_.stop_requested()) phase_ = Phase::kOver;
    if (phase_ == Phase::kInitial) {
      ReadInitial();
    } else if (phase_ == Phase::kHistory) {
      if (!Join()) ReadHistory();
    } else {
      Send(/*may_encode=*/true, made_);
      break;
    }
  }
  if (made_.empty()) return;
  room_ = hub_.buffers().Take(request_.user, base::Shares::Claim::kFair,
                              static_cast<int64_t>(made_.capacity()));
  if (room_) return;
  std::string().swap(made_);  // an assignment would keep its memory
  phase_ = Phase::kOver;
}

void Watch::ReadInitial() {
  if (reader_ == nullptr) {
    ListQuery query = request_.query;
    query.page_bytes = kPieceBytes;
    query.stop = stop_.get_token();
    reader_ = std::make_unique<ListReader>(hub_.history(), hub_.keys(), kind_, std::move(query));
  }
  const base::Status read = reader_->ReadPage([&](const google::protobuf::Message& object) {
    SendFrame("ADDED", EncodeObject(kind_.resource, object, form_, hub_.clock().WallNow()), made_);
    return true;
  });
  if (!read.ok()) return Fail(read);
  if (!reader_->done()) return;
  reader_ = nullptr;
  if (request_.initial_events_end && request_.bookmarks) SendBookmark(delivered_, true, made_);
  phase_ = Phase::kHistory;
}

base::Revision Watch::Behind() const {
  // What the revision changed that the history begins with, nobody knows.
  return resumes_ && delivered_ > hub_.history().oldest() ? delivered_ - 1 : delivered_;
}

bool Watch::Join() {
  if (part_.told > 0) return false;
  const base::Revision behind = Behind();
  base::MutexLock lock(&scope_->mu);
  if (behind < scope_->from_) return false;
  const auto next =
      std::partition_point(scope_->events_.begin(), scope_->events_.end(),
                           [&](const auto& event) { return event->revision() <= behind; });
  next_ = scope_->first_ + static_cast<uint64_t>(next - scope_->events_.begin());
  floor_ = behind;
  phase_ = Phase::kLive;
  return true;
}

void Watch::ReadHistory() {
  floor_ = part_.told > 0 ? part_.revision - 1 : Behind();
  Part asked;
  const auto wants = [&](base::Revision revision, const records::Id& id) {
    if (id.kind != kind_.record || !request_.query.Covers(id)) return false;
    if (revision != asked.revision) asked = {revision, 0};
    return ++asked.told > (revision == part_.revision ? part_.told : 0);
  };
  std::stop_source enough;
  const std::stop_callback over(stop_.get_token(), [&] { enough.request_stop(); });
  std::optional<Part> part;
  const auto next =
      hub_.history().Changes({floor_ + 1, hub_.known(), kPieceBytes, wants, enough.get_token()},
                             [&](const replica::Event& change) {
                               if (part || !Hear(change)) return;
                               part = asked;
                               enough.request_stop();
                             });
  part_ = part.value_or(Part());
  if (part) return;
  if (!next.ok()) return Fail(next.status());
  SendAll();
  resumes_ = false;
  delivered_ = std::max(delivered_, *next - 1);
}

bool Watch::Hear(const replica::Event& change) {
  auto event = EventOf(kind_, change);
  if (event == nullptr || event->MeaningTo(request_.query.selector).type.empty()) return false;
  pending_.push_back(std::move(event));
  // Whether it was seen, the next one tells.
  if (resumes_ && pending_.size() == 1 && pending_.front()->revision() == delivered_) return false;
  SendAll();
  return made_.size() >= kManyBytes;
}

void Watch::Fail(const base::Status& status) {
  phase_ = Phase::kOver;
  // Whatever else it is, the client's next watch or list will be told.
  if (status.code() != base::StatusCode::kOutOfRange) return;
  AppendErrorFrame(api::TooOldResourceVersion(delivered_, hub_.history().oldest()), form_, made_);
}

}  // namespace strata::objects
