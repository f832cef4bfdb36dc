#include "server/endpoints/watch.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <variant>

#include "server/endpoints/form.h"
#include "server/endpoints/get_request.h"
#include "server/endpoints/list_request.h"

namespace strata::endpoints {
namespace {

using Read = api::ListOptions::Read;
using Rest = http::Body::Rest;
using objects::Watch;

// How long what there is may take to be read.
constexpr std::chrono::minutes kInitialEventsTime{10};

// Of a watch, on its connection's thread, with a worker's help.
class WatchBody final : public http::Body {
 public:
  WatchBody(std::shared_ptr<Watch> watch, std::shared_ptr<Call> call, const Lane& workers,
            base::Shares& buffers)
      : making_(std::make_shared<Making>(std::move(watch), std::move(call))),
        workers_(workers),
        buffers_(buffers) {}
  ~WatchBody() override { making_->watch->Stop(); }

  Piece Next(std::span<char> buffer) override {
    if (at_ == frames_.size()) {
      if (making_->busy.load(std::memory_order_acquire)) return {0, Rest::kLater};
      std::string().swap(frames_);  // an assignment would keep its memory
      room_.reset();
      at_ = 0;
      switch (making_->watch->Take(frames_)) {
        case Watch::Next::kFrames:
          room_ = buffers_.Take(making_->call->user->name, base::Shares::Claim::kFair,
                                static_cast<int64_t>(frames_.capacity()));
          // Its client begins again where it is.
          if (!room_) return {0, Rest::kNone};
          break;
        case Watch::Next::kWait:
          return {0, Rest::kLater};
        case Watch::Next::kWork:
          return {0, Order() ? Rest::kLater : Rest::kNone};
        case Watch::Next::kEnd:
          return {0, Rest::kNone};
      }
    }
    const size_t bytes = std::min(buffer.size(), frames_.size() - at_);
    std::memcpy(buffer.data(), frames_.data() + at_, bytes);
    at_ += bytes;
    return {bytes, Rest::kMore};
  }

 private:
  struct Making {
    Making(std::shared_ptr<Watch> w, std::shared_ptr<Call> c)
        : watch(std::move(w)), call(std::move(c)) {}
    const std::shared_ptr<Watch> watch;
    const std::shared_ptr<Call> call;
    std::atomic<bool> busy = false;  // a worker has the watch
  };

  // False if there is none: then the watch ends, and its client begins another one.
  bool Order() {
    making_->busy = true;
    std::function<void()> task = [making = making_] {
      making->call->Guard([&] { making->watch->Work(); });
      making->busy.store(false, std::memory_order_release);
      making->call->Resume();
    };
    return workers_.submit(task, {making_->call->user->name}) != 0;
  }

  const std::shared_ptr<Making> making_;
  const Lane& workers_;
  base::Shares& buffers_;
  std::string frames_;                       // not sent yet
  std::optional<base::Shares::Share> room_;  // of them
  size_t at_ = 0;
};

// One that says something, and ends.
class Words final : public http::Body {
 public:
  explicit Words(std::string text) : text_(std::move(text)) {}
  Piece Next(std::span<char> buffer) override {
    const size_t bytes = text_.copy(buffer.data(), buffer.size(), at_);
    at_ += bytes;
    return {bytes, at_ == text_.size() ? Rest::kNone : Rest::kMore};
  }

 private:
  const std::string text_;
  size_t at_ = 0;
};

http::Response Begin(const objects::WatchForm& form, std::unique_ptr<http::Body> body) {
  http::Response response;
  response.headers.Reserve(4);
  response.headers.Add("content-type", std::string(objects::ContentType(form)));
  response.flow = std::move(body);
  return response;
}

// Of the call's Accept, which is known to be one that objects can be sent in.
std::variant<api::Error, objects::WatchForm> FormOf(const Call& call) {
  const wire::Representation representation = NegotiateObject(call).representation;
  if (representation.type == wire::MediaType::kYaml) return api::NotAcceptableWatch();
  objects::WatchForm form{.protobuf = representation.type == wire::MediaType::kProtobuf,
                          .transform = representation.transform,
                          .beta = representation.beta};
  if (form.transform != wire::Transform::kTable) return form;
  const std::string_view asked = call.info->query.Get("includeObject");
  const auto include = api::ParseRowObject(asked);
  if (!include) return api::InvalidRowObject(asked);
  form.include = *include;
  return form;
}

}  // namespace

void WatchHandler::Serve(std::shared_ptr<Call> call) {
  auto parsed = ListOptionsOf(*call);
  if (const auto* error = std::get_if<api::Error>(&parsed)) return call->Fail(*error);
  const auto form = FormOf(*call);
  if (const auto* error = std::get_if<api::Error>(&form)) return call->Fail(*error);
  call->options =
      std::make_unique<const api::ListOptions>(std::get<api::ListOptions>(std::move(parsed)));
  const api::ListOptions& options = *call->options;
  // What came behind a revision can be waited for without knowing it.
  if (options.read == Read::kExact && !options.initial_events)
    return freshness_.WaitForRevision(std::move(call), *this, 0, "");
  WaitForList(std::move(call), freshness_, *this);
}

void WatchHandler::ServeFresh(const std::shared_ptr<Call>& call) {
  const objects::WatchForm form = std::get<objects::WatchForm>(FormOf(*call));
  // No object is a list: the reference can't encode one, and ends.
  if (form.transform == wire::Transform::kPartialObjectMetadataList)
    return call->Respond(Begin(form, std::make_unique<Words>("")));
  const api::ListOptions& options = *call->options;
  base::Revision from = RevisionOf(options, freshness_.current());
  if (!options.initial_events) from = freshness_.StartOf(from);
  objects::WatchRequest request{.form = form,
                                .query = QueryOf(*call, from),
                                .initial_events = options.initial_events,
                                .resumes = !options.initial_events && options.read == Read::kExact,
                                .initial_events_end = options.initial_events_end,
                                .bookmarks = options.allow_bookmarks,
                                .end = EndOf(options),
                                .user = call->user->name};
  request.query.limit = 0;
  request.query.deadline = std::min(request.end, clock_.Now() + kInitialEventsTime);
  auto watch =
      std::make_shared<Watch>(hub_, kind_, std::move(request), [weak = std::weak_ptr<Call>(call)] {
        if (const auto held = weak.lock()) held->Resume();
      });
  watch->Begin();
  call->Respond(
      Begin(form, std::make_unique<WatchBody>(std::move(watch), call, workers_, hub_.buffers())));
}

void WatchHandler::Refuse(const std::shared_ptr<Call>& call, const api::Error& error) {
  // A revision that doesn't come is told once the watch has begun (cacher.go: the initial events
  // are what waits for it).
  if (call->options->read != Read::kNotOlderThan || error.reason != "Timeout")
    return call->Fail(error);
  const objects::WatchForm form = std::get<objects::WatchForm>(FormOf(*call));
  std::string frame;
  objects::AppendErrorFrame(error, form, frame);
  call->Respond(Begin(form, std::make_unique<Words>(std::move(frame))));
}

base::MonotonicTime WatchHandler::EndOf(const api::ListOptions& options) const {
  const base::MonotonicTime now = clock_.Now();
  if (options.timeout) {
    // A century is as good as more.
    constexpr std::chrono::hours kLongest{24 * 36'500};
    return now + std::min<std::chrono::nanoseconds>(*options.timeout, kLongest);
  }
  thread_local std::minstd_rand random{std::random_device{}()};
  const std::chrono::nanoseconds least = options_.min_request_timeout;
  return now + least +
         std::chrono::nanoseconds(std::uniform_int_distribution<int64_t>(0, least.count())(random));
}

}  // namespace strata::endpoints
