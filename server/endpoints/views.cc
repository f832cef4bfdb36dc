#include "server/endpoints/views.h"

#include <absl/base/thread_annotations.h>

#include <string_view>
#include <utility>

#include "lib/base/mutex.h"
#include "server/endpoints/get_request.h"
#include "server/endpoints/objects.h"
#include "server/views/blob_view.h"
#include "server/views/image_view.h"
#include "server/views/stream_view.h"

namespace strata::endpoints {
namespace {

using layers::Reading;

constexpr std::string_view kNothing = "there is no such object";

// Of a view that not everybody sees alike.
template <typename View>
ViewQuery QueryOf() {
  const auto show = [](const Reading& reading, const Call& call,
                       const views::Audience& audience) -> ViewQuery::Object {
    STRATA_ASSIGN_OR_RETURN(const View view, View::Of(reading, call.info->name));
    STRATA_ASSIGN_OR_RETURN(typename View::Object object, view.Show(reading, audience));
    return std::make_unique<typename View::Object>(std::move(object));
  };
  const auto namespaces = [](const Reading& reading,
                             const Call& call) -> base::StatusOr<std::vector<std::string>> {
    STRATA_ASSIGN_OR_RETURN(const View view, View::Of(reading, call.info->name));
    return view.Namespaces();
  };
  return {show, namespaces};
}

// An image that can't be read is said to be missing, and so is one that may not be seen: neither is
// absent.
void AddAbsent(const Reading& reading, const std::string& image, std::vector<records::Id>& absent) {
  if (reading.records.images.Find(reading.names.Find(image)) == nullptr)
    absent.push_back({records::Kind::kImage, "", image});
}

std::vector<records::Id> AbsentImage(const Reading& reading, const Call& call,
                                     const google::protobuf::Message* /*object*/) {
  std::vector<records::Id> absent;
  AddAbsent(reading, call.info->name, absent);
  return absent;
}

std::vector<records::Id> AbsentOfStream(const Reading& reading, const Call& call,
                                        const google::protobuf::Message* object) {
  if (object == nullptr) return {{records::Kind::kImageStream, call.info->ns, call.info->name}};
  std::vector<records::Id> absent;
  for (const auto& [name, image] :
       static_cast<const views::v1alpha1::ImageStreamLayers*>(object)->images()) {
    if (image.image_missing()) AddAbsent(reading, name, absent);
  }
  return absent;
}

// Nobody may learn by it what he doesn't see.
std::vector<std::string> WarningsOf(const Audiences::Answer& seen) {
  if (!seen.is_partial) return {};
  return {"it couldn't be found out about every namespace whether you may see it"};
}

// A call of which something is asked. Who comes first has it: the answer, or the call's end.
class Asked {
 public:
  // On the connection's thread.
  static std::shared_ptr<Asked> Begin(const std::shared_ptr<Call>& call) {
    const auto asked = std::make_shared<Asked>(call);
    call->OnEnd([weak = std::weak_ptr<Asked>(asked)](Call::End end) {
      const std::shared_ptr<Asked> waiting = weak.lock();
      const std::shared_ptr<Call> ended = waiting == nullptr ? nullptr : waiting->Take();
      if (ended != nullptr) ended->Abandon(end);
    });
    return asked;
  }
  explicit Asked(std::shared_ptr<Call> call) : call_(std::move(call)) {}

  // Once; null from then on.
  std::shared_ptr<Call> Take() ABSL_LOCKS_EXCLUDED(mu_) {
    base::MutexLock lock(&mu_);
    return std::exchange(call_, nullptr);
  }

 private:
  base::Mutex mu_;
  std::shared_ptr<Call> call_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

ViewQuery BlobQuery() {
  return QueryOf<views::BlobView>();
}

ViewQuery ImageLayersQuery() {
  ViewQuery query = QueryOf<views::ImageView>();
  query.absent = AbsentImage;
  return query;
}

ViewQuery ImageStreamLayersQuery() {
  return {.show = [](const Reading& reading, const Call& call,
                     const views::Audience&) -> ViewQuery::Object {
            const auto stream = reading.records.streams.Find(call.info->ns + "/" + call.info->name);
            if (stream == nullptr) return base::NotFoundError(kNothing);
            STRATA_ASSIGN_OR_RETURN(views::StreamView view, views::ViewOf(reading, stream));
            view.object.mutable_metadata()->set_resource_version(std::to_string(view.revision));
            return std::make_unique<views::v1alpha1::ImageStreamLayers>(std::move(view.object));
          },
          .absent = AbsentOfStream};
}

ViewQuery LayerUsageQuery(views::UsageMemory& memory) {
  return {[&memory](const Reading& reading, const Call& call,
                    const views::Audience&) -> ViewQuery::Object {
    if (call.info->name != call.info->ns) return base::NotFoundError(kNothing);
    STRATA_ASSIGN_OR_RETURN(const auto usages, memory.Of(reading));
    const views::v1alpha1::LayerUsage* usage = views::Find(*usages, call.info->ns);
    if (usage == nullptr) return base::NotFoundError(kNothing);
    auto object = std::make_unique<views::v1alpha1::LayerUsage>(*usage);
    object->mutable_metadata()->set_resource_version(std::to_string(reading.records.revision));
    return object;
  }};
}

CallHandler ForWhoSeesAll(const Audiences& audiences, CallHandler handler) {
  return [&audiences, handler = std::move(handler)](const std::shared_ptr<Call>& begun) {
    const auto asked = Asked::Begin(begun);
    audiences.AskForAll(*begun, [&audiences, asked, handler](const Audiences::Answer& seen) {
      const std::shared_ptr<Call> call = asked->Take();
      if (call == nullptr) return;
      if (seen.audience.sees_all) return call->Post([call, handler] { handler(call); });
      if (!seen.undecided.empty()) return audiences.FailUndecided(*call, seen.undecided);
      call->Fail(api::Forbidden(call->user->name, *call->info, audiences.WhatShowsAll()));
    });
  };
}

void ViewHandler::Serve(std::shared_ptr<Call> call) {
  if (const auto refused = RefuseGet(*call)) return call->Fail(*refused);
  freshness_.Wait(std::move(call), *this);
}

void ViewHandler::ServeFresh(const std::shared_ptr<Call>& call) {
  const std::shared_ptr<Work> work = Work::Begin(call, workers_);
  if (query_.namespaces == nullptr)
    return work->Then([this](Work& w) { Show(w, {.audience = {.sees_all = true}}); });
  audiences_.AskForAll(*call, [this, work](const Audiences::Answer& seen) {
    work->Then([this, seen](Work& w) {
      if (seen.audience.sees_all) return Show(w, seen);
      AskWhatIsSeen(w, seen.undecided);
    });
  });
}

// What is looked at isn't kept while others are asked, which takes as long as it takes: it is
// looked at again.
void ViewHandler::AskWhatIsSeen(Work& work, const std::string& undecided) {
  const Reading reading = index_.Read(work.stop());
  auto namespaces = query_.namespaces(reading, work.call());
  if (!namespaces.ok())
    return Conclude(work, reading, namespaces.status(), {.undecided = undecided});
  audiences_.Ask(work.call(), *std::move(namespaces), work.stop(),
                 [this, shared = work.shared_from_this(), undecided](Audiences::Answer seen) {
                   seen.undecided = undecided;
                   shared->Then([this, seen](Work& w) { Show(w, seen); });
                 });
}

void ViewHandler::Show(Work& work, const Audiences::Answer& seen) {
  const Reading reading = index_.Read(work.stop());
  Conclude(work, reading, query_.show(reading, work.call(), seen.audience), seen);
}

void ViewHandler::Conclude(Work& work, const Reading& reading, ViewQuery::Object object,
                           const Audiences::Answer& seen) {
  // The same whether it is there or not, so it isn't sought either.
  if (!seen.undecided.empty() && object.status().code() == base::StatusCode::kNotFound)
    return work.Answer([&](Call& call) { audiences_.FailUndecided(call, seen.undecided); });
  std::vector<std::string> warnings = WarningsOf(seen);
  std::vector<records::Id> absent;
  if (seeker_.NeededFor(work.call()) && query_.absent != nullptr &&
      (object.ok() || object.status().code() == base::StatusCode::kNotFound))
    absent = query_.absent(reading, work.call(), object.ok() ? object->get() : nullptr);
  if (absent.empty()) return work.Answer([&](Call& call) { Answer(call, object, warnings); });
  const std::shared_ptr<Call> call = work.Leave();
  if (call == nullptr) return;
  seeker_.Seek(call, absent, *this,
               [this, call, object = std::make_shared<ViewQuery::Object>(std::move(object)),
                warnings = std::move(warnings)] { Answer(*call, *object, warnings); });
}

void ViewHandler::Answer(Call& call, const ViewQuery::Object& object,
                         const std::vector<std::string>& warnings) const {
  if (object.ok()) return AnswerObject(call, **object, clock_, warnings);
  if (object.status().code() == base::StatusCode::kNotFound)
    return call.Fail(api::NotFound(*call.resource, call.info->name));
  call.Fail(ErrorOf(object.status(), "the object"));
}

}  // namespace strata::endpoints
