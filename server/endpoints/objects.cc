#include "server/endpoints/objects.h"

#include <optional>
#include <string>
#include <utility>

#include "lib/image/object_name.h"
#include "server/api/table.h"
#include "server/endpoints/form.h"
#include "server/endpoints/get_request.h"
#include "server/endpoints/on_worker.h"
#include "server/wire/encode.h"

namespace strata::endpoints {
namespace {

std::string_view MetaVersion(const wire::Representation& form) {
  return form.beta ? "meta.k8s.io/v1beta1" : "meta.k8s.io/v1";
}

std::string EncodeMetadata(const google::protobuf::Message& object,
                           const wire::Representation& form) {
  return wire::Encode(api::PartialOf(object), {"PartialObjectMetadata", MetaVersion(form)}, form);
}

}  // namespace

api::Error ErrorOf(const base::Status& status, std::string_view what) {
  if (status.code() == base::StatusCode::kDeadlineExceeded) return api::RequestTimeout();
  if (status.code() == base::StatusCode::kDataLoss)
    return api::InternalError(std::string(what) +
                              " can't be read: " + std::string(base::Message(status)));
  return api::StorageTimeout("the storage backend can't be read");
}

void ObjectHandler::Serve(std::shared_ptr<Call> call) {
  if (const auto refused = RefuseGet(*call)) return call->Fail(*refused);
  // It would be another key's path.
  if (call->resource->namespaced && !image::IsPathSegment(call->info->ns))
    return call->Fail(api::NotFound(*call->resource, call->info->name));
  freshness_.Wait(std::move(call), *this);
}

void ObjectHandler::ServeFresh(const std::shared_ptr<Call>& call) {
  RunFor(call, readers_, [this, call, revision = freshness_.current()] { Read(call, revision); });
}

void ObjectHandler::Read(const std::shared_ptr<Call>& call, base::Revision revision) {
  RecordReader records(source_, revision, call->deadline);
  Made made = make_(records, *call);
  if (records.absent().empty() || !seeker_.NeededFor(*call)) return Answer(*call, made);
  seeker_.Seek(
      call, records.absent(), *this,
      [this, call, made = std::make_shared<Made>(std::move(made))] { Answer(*call, *made); });
}

void ObjectHandler::Answer(Call& call, const Made& made) const {
  if (const auto* error = std::get_if<api::Error>(&made)) return call.Fail(*error);
  AnswerObject(call, *std::get<1>(made), clock_);
}

void AnswerObject(Call& call, const google::protobuf::Message& object, const base::Clock& clock,
                  const std::vector<std::string>& warnings) {
  const std::optional<layers::Form> form = NegotiateForm(call);
  if (!form || RefuseListForm(call, *form)) return;
  const wire::Representation& representation = form->representation;
  std::string body;
  if (representation.transform == wire::Transform::kPartialObjectMetadata) {
    body = EncodeMetadata(object, representation);
  } else if (representation.transform == wire::Transform::kTable) {
    const std::string_view asked = call.info->query.Get("includeObject");
    const auto include = api::ParseRowObject(asked);
    if (!include) return call.Fail(api::InvalidRowObject(asked));
    body = wire::EncodeText(api::TableOf(*call.resource, object, *include, clock.WallNow(),
                                         /*columns=*/true, MetaVersion(representation)),
                            representation);
  } else {
    body = wire::Encode(object, call.resource->type_meta(), representation);
  }
  RespondIn(call, *form, std::move(body), warnings);
}

}  // namespace strata::endpoints
