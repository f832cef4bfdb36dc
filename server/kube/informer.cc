#include "server/kube/informer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "proto/k8s/list.pb.h"
#include "proto/k8s/meta_v1.pb.h"
#include "proto/k8s/runtime.pb.h"
#include "server/kube/envelope.h"

namespace strata::kube {
namespace {

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;
using ::k8s::io::apimachinery::pkg::runtime::Unknown;

constexpr std::string_view kProtobuf = "application/vnd.kubernetes.protobuf";
constexpr std::chrono::seconds kWatchGrace{10};

// An API server that is busy: it is to be asked again for the same. Others, 5xx, may stand before
// one that is put back to another history meanwhile.
constexpr int kTooManyRequests = 429;

bool Parse(google::protobuf::Message& message, std::string_view bytes) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

std::string KeyOf(const meta::ObjectMeta& metadata) {
  return metadata.namespace_().empty() ? metadata.name()
                                       : metadata.namespace_() + "/" + metadata.name();
}

}  // namespace

Informer::Informer(Api& api, Source source, const Options& options, Update update,
                   const obs::Logger& log)
    : api_(api),
      source_(std::move(source)),
      options_(options),
      update_(std::move(update)),
      log_(log),
      events_(options.max_frame_bytes),
      backoff_(options.first_backoff),
      status_(base::UnavailableError("nothing has been listed yet")) {}

void Informer::Start() {
  api_.RunAfter({}, [this] { List(); });
}

bool Informer::synced() const {
  absl::MutexLock lock(&mu_);
  return synced_;
}

base::Status Informer::status() const {
  absl::MutexLock lock(&mu_);
  return status_;
}

std::string Informer::Url(const std::string& query) const {
  const std::string selector = EscapeForUrl(source_.field_selector);
  return fmt::format("{}?{}{}{}", source_.path, query,
                     selector.empty() ? "" : "&fieldSelector=", selector);
}

void Informer::List() {
  Request request;
  request.path = Url(fmt::format("limit={}", options_.page_size));
  if (!continue_.empty()) request.path += "&continue=" + EscapeForUrl(continue_);
  request.accept = kProtobuf;
  api_.Send(std::move(request), [this](base::StatusOr<Response> page) {
    if (!page.ok()) return ListLater(page.status());
    if (const base::Status status = ErrorOf(*page); !status.ok()) return ListLater(status);
    OnPage(*page);
  });
}

void Informer::OnPage(const Response& page) {
  Unknown unknown;
  meta::RawList list;
  if (!OpenEnvelope(page.body, unknown) || !Parse(list, unknown.raw()))
    return ListLater(base::DataLossError("the answer isn't a list in Kubernetes protobuf"));
  for (const std::string& item : list.items()) {
    meta::AnyObject object;
    if (!Parse(object, item))
      return ListLater(base::DataLossError("an item of the list is malformed"));
    listing_[KeyOf(object.metadata())] = item;
  }
  const std::string before = std::exchange(continue_, list.metadata().continue_());
  if (!continue_.empty() && continue_ == before)
    return ListLater(base::DataLossError("a list has no end"));
  if (!continue_.empty()) return List();
  revision_ = list.metadata().resource_version();
  objects_ = std::exchange(listing_, {});
  Deliver();
  Watch();
}

void Informer::Watch() {
  events_.Clear();
  watch_error_ = base::OkStatus();
  brought_ = false;
  Request request;
  request.path =
      Url(fmt::format("watch=1&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={}",
                      EscapeForUrl(revision_), options_.watch_time.count()));
  request.accept = kProtobuf;
  request.timeout = options_.watch_time + kWatchGrace;
  api_.Stream(
      std::move(request), [this](std::string_view bytes) { return OnData(bytes); },
      [this](const base::StatusOr<Response>& end) { OnWatchEnd(end); });
}

bool Informer::OnData(std::string_view bytes) {
  if (bytes.empty()) {
    told_.clear();
    SetStatus(taken_);
    return true;
  }
  watch_error_ = events_.Add(
      bytes, [this](std::string_view type, const auto& object) { return Change(type, object); });
  // Once for all that came together, and before something that can't be read.
  if (std::exchange(changed_, false)) Deliver();
  return watch_error_.ok();
}

base::Status Informer::Change(std::string_view type, const WatchEvents::Object& bytes) {
  meta::AnyObject object;
  if (!Parse(object, bytes.raw())) return base::DataLossError("a malformed object");
  brought_ = true;
  backoff_ = options_.first_backoff;
  revision_ = object.metadata().resource_version();
  if (type == "BOOKMARK") return base::OkStatus();
  changed_ = true;
  if (type == "DELETED") {
    objects_.erase(KeyOf(object.metadata()));
  } else {
    objects_[KeyOf(object.metadata())] = bytes.raw();
  }
  return base::OkStatus();
}

void Informer::OnWatchEnd(const base::StatusOr<Response>& end) {
  if (end.status().code() == base::StatusCode::kCancelled) return;
  if (!end.ok()) return ListLater(end.status());
  if (!watch_error_.ok()) return ListLater(watch_error_);
  if (end->status == kTooManyRequests) return RetryAfter(ErrorOf(*end), &Informer::Watch);
  if (end->status != 200) return ListLater(ErrorOf(*end));
  backoff_ = options_.first_backoff;
  // The end of its time: go on where it stood. One that brought nothing may have ended as soon as
  // it began, as the next would.
  if (brought_) return Watch();
  api_.RunAfter(options_.first_backoff, [this] { Watch(); });
}

void Informer::Deliver() {
  taken_ = update_(objects_);
  if (!taken_.ok()) {
    log_.Warning("What kube-apiserver has can't be used",
                 {{"path", source_.path}, {"err", taken_}});
  }
  SetStatus(taken_);
  absl::MutexLock lock(&mu_);
  synced_ = synced_ || taken_.ok();
}

void Informer::SetStatus(base::Status status) {
  absl::MutexLock lock(&mu_);
  status_ = std::move(status);
}

// Which also ends what a broken watch may have missed, of another history perhaps.
void Informer::ListLater(const base::Status& why) {
  listing_.clear();
  continue_.clear();
  RetryAfter(why, &Informer::List);
}

void Informer::RetryAfter(const base::Status& why, void (Informer::*next)()) {
  if (why.code() == base::StatusCode::kCancelled) return;
  SetStatus(why);
  // Once for each reason, however long it lasts.
  if (told_ != base::Message(why)) {
    told_ = base::Message(why);
    log_.Warning("kube-apiserver can't be watched; trying again",
                 {{"path", source_.path}, {"err", why}});
  }
  api_.RunAfter(backoff_, [this, next] { (this->*next)(); });
  backoff_ = std::min(backoff_ * 2, options_.max_backoff);
}

}  // namespace strata::kube
