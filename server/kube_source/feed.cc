#include "server/kube_source/feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/base/bytes.h"
#include "proto/k8s/list.pb.h"
#include "proto/k8s/meta_v1.pb.h"
#include "server/kube/envelope.h"
#include "server/kube_source/object_record.h"

namespace strata::kube_source {
namespace {

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;

constexpr std::string_view kProtobuf = "application/vnd.kubernetes.protobuf";
constexpr std::string_view kEndOfInitialEvents = "k8s.io/initial-events-end";
constexpr std::chrono::seconds kWatchGrace{4};
constexpr std::chrono::seconds kMostListTime{300};  // by a watch
// A watch that ends sooner, and has brought nothing, isn't opened again at once.
constexpr std::chrono::seconds kShortWatch{1};
constexpr int kMostFailures = 3;
constexpr int kExpired = 410;
// Objects of one revision that are known to have been told; more may be told twice.
constexpr size_t kMostTold = 10'000;

obs::Counter CounterOf(obs::Metrics& metrics, records::Kind kind, const char* name,
                       const char* help) {
  return metrics.AddCounter(name, help,
                            {{"resource", std::string(records::NamesOf(kind).resource)}});
}

base::Status WrongKind(std::string_view kind) {
  return base::DataLossError(
      fmt::format("an object of kind \"{}\" came", base::Printable(kind, 60)));
}

base::StatusOr<base::Revision> RevisionOfObject(const kube::WatchEvents::Object& object) {
  meta::AnyObject any;
  if (!any.ParseFromString(object.raw())) return base::DataLossError("a malformed object");
  return RevisionOf(any.metadata().resource_version());
}

// Whether an API server that answers so has no such lists: it may not know the parameters, or have
// them turned off.
bool RefusesWatchLists(int status) {
  return status >= 400 && status < 500 && status != 401 && status != 403 && status != 429 &&
         status != kExpired;
}

}  // namespace

Feed::Feed(kube::Api& api, records::Kind kind, const Options& options, Sink& sink,
           const base::Clock& clock, const obs::Logger& log, obs::Metrics& metrics)
    : api_(api),
      kind_(kind),
      options_(options),
      sink_(sink),
      clock_(clock),
      log_(log),
      pages_(metrics.AddCounter("strata_list_pages_total", "Pages of lists that were read.")),
      refused_objects_(CounterOf(metrics, kind, "strata_source_refused_objects_total",
                                 "Objects of the API server that can't be records.")),
      breaks_(metrics.AddCounter("strata_watch_breaks_total",
                                 "Watch streams that ended before their time.")),
      limit_(options.page_size),
      events_(options.max_object_bytes),
      backoff_(options.backoff) {}

kube::Request Feed::RequestFor(const std::string& query) const {
  kube::Request request;
  request.path = fmt::format("{}?{}", PathOf(kind_), query);
  request.accept = kProtobuf;
  request.timeout = options_.list_timeout;
  return request;
}

void Feed::End() {
  ++generation_;
  waits_ = false;
}

void Feed::List() {
  End();
  changes_.clear();
  listed_some_ = false;
  list_revision_ = 0;
  newest_listed_ = 1;
  told_.clear();
  failures_ = 0;
  if (watch_list_refused_) return ListPages("");
  ListByWatch();
}

void Feed::ListByWatch() {
  events_.Clear();
  error_ = base::OkStatus();
  brought_ = false;
  api_.Stream(
      RequestFor(fmt::format("watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
                             "&allowWatchBookmarks=true&timeoutSeconds={}",
                             kMostListTime.count())),
      [this, mine = generation_](std::string_view bytes) {
        if (mine != generation_) return false;
        brought_ = true;
        error_ = events_.Add(bytes, [this](std::string_view type, const Object& object) {
          return TakeInitial(type, object);
        });
        return error_.ok();
      },
      [this, mine = generation_](const base::StatusOr<kube::Response>& end) {
        if (mine == generation_) OnInitialEnd(end);
      });
}

base::Status Feed::TakeInitial(std::string_view type, const Object& object) {
  if (object.type_meta().kind() != records::NamesOf(kind_).name)
    return WrongKind(object.type_meta().kind());
  if (type == "BOOKMARK") {
    meta::AnyObject bookmark;
    if (!bookmark.ParseFromString(object.raw())) return base::DataLossError("a malformed bookmark");
    const auto& annotations = bookmark.metadata().annotations();
    const auto ends = annotations.find(std::string(kEndOfInitialEvents));
    if (ends == annotations.end() || ends->second != "true") return base::OkStatus();
    STRATA_ASSIGN_OR_RETURN(list_revision_, RevisionOf(bookmark.metadata().resource_version()));
    return base::CancelledError("all has come");
  }
  if (type == "MODIFIED" || type == "DELETED") {
    // Changes come behind all that there was, and before the end of it is said (client-go
    // reflector.go handleAnyWatch): the list is of the revision before, and the watch brings them.
    STRATA_ASSIGN_OR_RETURN(const base::Revision revision, RevisionOfObject(object));
    if (revision <= newest_listed_)
      return base::DataLossError("a change of a revision that was listed in part");
    list_revision_ = revision - 1;
    return base::CancelledError("all has come");
  }
  if (Accept(object.raw(), changes_))
    newest_listed_ = std::max(newest_listed_, changes_.back().revision);
  if (static_cast<int64_t>(changes_.size()) >= options_.page_size) Flush();
  return base::OkStatus();
}

void Feed::OnInitialEnd(const base::StatusOr<kube::Response>& end) {
  if (list_revision_ != 0) {
    Flush();
    position_ = list_revision_;
    return sink_.OnListed(kind_, position_);
  }
  if (end.status().code() == base::StatusCode::kCancelled) return;
  base::Status why = error_;
  if (!end.ok()) {
    why = end.status();
    // One that doesn't know the parameter begins to answer, and says nothing more.
    watch_list_refused_ = brought_ && why.code() == base::StatusCode::kDeadlineExceeded;
  } else if (end->status != 200) {
    why = kube::ErrorOf(*end);
    watch_list_refused_ = RefusesWatchLists(end->status);
  } else if (why.ok()) {
    why = base::UnavailableError("the API server ended a list before its end");
    watch_list_refused_ = true;
  }
  if (watch_list_refused_) log_.Info("The API server has no lists by watches", {{"err", why}});
  if (watch_list_refused_ && !listed_some_ && changes_.empty()) return ListPages("");
  sink_.OnListFailed(kind_, why);
}

void Feed::ListPages(const std::string& token) {
  std::string query = fmt::format("limit={}", limit_);
  if (!token.empty()) query += "&continue=" + kube::EscapeForUrl(token);
  api_.Send(RequestFor(query),
            [this, token, mine = generation_](const base::StatusOr<kube::Response>& answer) {
              if (mine == generation_) OnPage(token, answer);
            });
}

void Feed::OnPage(const std::string& token, const base::StatusOr<kube::Response>& answer) {
  if (answer.status().code() == base::StatusCode::kCancelled) return;
  if (answer.status().code() == base::StatusCode::kResourceExhausted && limit_ > 1) {
    limit_ /= 2;
    return ListPages(token);
  }
  std::string next;
  base::Status status = answer.status();
  if (status.ok()) status = kube::ErrorOf(*answer);
  if (status.ok()) status = TakePage(token, *answer, next);
  if (!status.ok()) return sink_.OnListFailed(kind_, status);
  Flush();
  if (!next.empty()) return ListPages(next);
  position_ = list_revision_;
  sink_.OnListed(kind_, position_);
}

base::Status Feed::TakePage(const std::string& token, const kube::Response& answer,
                            std::string& next) {
  Object unknown;
  meta::RawList list;
  if (!kube::OpenEnvelope(answer.body, unknown) ||
      unknown.type_meta().kind() != records::NamesOf(kind_).list ||
      !list.ParseFromString(unknown.raw()))
    return base::DataLossError("the answer isn't a list in Kubernetes protobuf");
  STRATA_ASSIGN_OR_RETURN(const base::Revision revision,
                          RevisionOf(list.metadata().resource_version()));
  if (list_revision_ != 0 && revision != list_revision_)
    return base::DataLossError("the pages of a list are of different revisions");
  list_revision_ = revision;
  next = list.metadata().continue_();
  if (!next.empty() && (list.items().empty() || next == token))
    return base::DataLossError("a list has no end");
  for (std::string& item : *list.mutable_items()) Accept(std::move(item), changes_);
  return base::OkStatus();
}

void Feed::Flush() {
  if (changes_.empty()) return;
  listed_some_ = true;
  pages_.Increment();
  sink_.OnPage(std::exchange(changes_, {}));
}

bool Feed::Accept(std::string object, std::vector<records::Change>& to) {
  auto record = RecordOf(kind_, std::move(object));
  if (record.ok()) {
    to.push_back(*std::move(record));
    return true;
  }
  if (refused_objects_.value() == 0) {
    log_.Warning("An object of the API server can't be a record; it is left out, as others may be",
                 {{"kind", records::NamesOf(kind_).name}, {"err", record.status()}});
  }
  refused_objects_.Increment();
  return false;
}

void Feed::Watch() {
  End();
  events_.Clear();
  error_ = base::OkStatus();
  brought_ = false;
  began_ = clock_.Now();
  const auto least = options_.watch_time.count();
  const auto seconds = std::uniform_int_distribution<int64_t>(least, 2 * least)(random_);
  // Where some of a revision has come, the rest may not have.
  from_ = told_.empty() ? position_ : std::max<base::Revision>(position_ - 1, 1);
  kube::Request request = RequestFor(fmt::format(
      "watch=1&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={}", from_, seconds));
  request.timeout = std::chrono::seconds(seconds) + kWatchGrace;
  api_.Stream(
      std::move(request),
      [this, mine = generation_](std::string_view bytes) {
        return mine == generation_ && OnData(bytes);
      },
      [this, mine = generation_](const base::StatusOr<kube::Response>& end) {
        if (mine == generation_) OnEnd(end);
      });
}

bool Feed::OnData(std::string_view bytes) {
  if (bytes.empty()) {
    sink_.OnWatching(kind_);
    return true;
  }
  const base::Revision before = position_;
  error_ = events_.Add(
      bytes, [this](std::string_view type, const Object& object) { return Take(type, object); });
  // What came before something that can't be read counts.
  if (position_ != before || !changes_.empty()) {
    brought_ = true;
    failures_ = 0;
    backoff_.Reset();
    sink_.OnChanges(kind_, std::exchange(changes_, {}), position_);
  }
  return error_.ok();
}

base::Status Feed::Take(std::string_view type, const Object& object) {
  if (object.type_meta().kind() != records::NamesOf(kind_).name)
    return WrongKind(object.type_meta().kind());
  STRATA_ASSIGN_OR_RETURN(const base::Revision revision, RevisionOfObject(object));
  const bool deleted = type == "DELETED";
  const bool bookmark = type == "BOOKMARK";
  if (bookmark && revision == from_) return base::OkStatus();  // nothing yet
  STRATA_RETURN_IF_ERROR(Move(revision));
  if (bookmark || !Accept(object.raw(), changes_)) return base::OkStatus();
  records::Change& change = changes_.back();
  std::string key = KeyOf(change.id);
  if (told_.contains(key)) {
    changes_.pop_back();
    return base::OkStatus();
  }
  if (told_.size() < kMostTold) told_.insert(std::move(key));
  if (deleted) change = records::Deleted(std::move(change.id), revision);
  return base::OkStatus();
}

base::Status Feed::Move(base::Revision revision) {
  if (revision < position_) {
    return base::Error(
        base::StatusCode::kAborted,
        fmt::format("the API server went back from revision {} to {}", position_, revision));
  }
  if (revision != position_) told_.clear();
  position_ = revision;
  return base::OkStatus();
}

void Feed::OnEnd(const base::StatusOr<kube::Response>& end) {
  if (end.status().code() == base::StatusCode::kCancelled) return;
  base::Status why = error_;
  if (!end.ok()) {
    why = end.status();
  } else if (why.ok() && end->status != 200) {
    why = kube::ErrorOf(*end);
  } else if (!why.ok()) {
    ++failures_;
  }
  const bool gone = why.code() == base::StatusCode::kOutOfRange;
  const bool other_history = why.code() == base::StatusCode::kAborted;
  if (!why.ok()) breaks_.Increment();
  sink_.OnWatchEnd(kind_, why);
  if (gone || other_history || failures_ >= kMostFailures) {
    failures_ = 0;
    return sink_.OnLost(kind_, why);
  }
  if (why.ok() && (brought_ || clock_.Now() - began_ >= kShortWatch)) return Watch();
  WatchLater();
}

void Feed::WatchLater() {
  waits_ = true;
  api_.RunAfter(backoff_.Next(), [this, mine = generation_] {
    if (mine == generation_) Watch();
  });
}

void Feed::Hurry() {
  if (waits_) Watch();
}

}  // namespace strata::kube_source
