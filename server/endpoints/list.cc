#include "server/endpoints/list.h"

#include <optional>
#include <string>
#include <utility>

#include "server/api/table.h"
#include "server/endpoints/form.h"
#include "server/endpoints/get_request.h"
#include "server/endpoints/list_request.h"
#include "server/endpoints/pieces.h"
#include "server/endpoints/work.h"
#include "server/wire/gzip.h"
#include "server/wire/gzip_stream.h"

namespace strata::endpoints {
namespace {

// Nothing: the call has failed.
std::optional<objects::ListForm> FormOf(Call& call, const wire::Representation& representation) {
  objects::ListForm form{representation};
  if (representation.transform == wire::Transform::kPartialObjectMetadata) {
    call.Fail(api::NotAcceptableObject(*call.resource, "PartialObjectMetadata"));
    return std::nullopt;
  }
  if (representation.transform != wire::Transform::kTable) return form;
  const std::string_view asked = call.info->query.Get("includeObject");
  const auto include = api::ParseRowObject(asked);
  if (!include) {
    call.Fail(api::InvalidRowObject(asked));
    return std::nullopt;
  }
  form.include = *include;
  return form;
}

// What is read until it is known whether an answer is compressed.
base::StatusOr<std::string> Beginning(objects::ListMaker& maker, bool& whole) {
  std::string bytes;
  while (bytes.size() <= wire::kGzipThreshold) {
    STRATA_ASSIGN_OR_RETURN(std::string piece, maker.Next());
    whole = piece.empty();
    if (whole) break;
    if (bytes.empty()) {
      bytes = std::move(piece);
    } else {
      bytes.append(piece);
    }
  }
  return bytes;
}

// Compresses what `next` makes.
NextPiece Gzipped(std::shared_ptr<wire::GzipStream> gzip, NextPiece next) {
  return [gzip = std::move(gzip), next = std::move(next),
          ended = false]() mutable -> base::StatusOr<std::string> {
    std::string out;
    while (out.empty() && !ended) {
      STRATA_ASSIGN_OR_RETURN(const std::string piece, next());
      ended = piece.empty();
      out = ended ? gzip->Finish() : gzip->Write(piece);
    }
    return out;
  };
}

}  // namespace

void ListHandler::Serve(std::shared_ptr<Call> call) {
  auto options = ListOptionsOf(*call);
  if (const auto* error = std::get_if<api::Error>(&options)) return call->Fail(*error);
  call->options =
      std::make_unique<const api::ListOptions>(std::get<api::ListOptions>(std::move(options)));
  WaitForList(std::move(call), freshness_, *this);
}

void ListHandler::ServeFresh(const std::shared_ptr<Call>& call) {
  const std::optional<layers::Form> negotiated = NegotiateForm(*call);
  if (!negotiated) return;
  const auto form = FormOf(*call, negotiated->representation);
  if (!form) return;
  const base::Revision revision = RevisionOf(*call->options, freshness_.current());
  Work::Begin(call, workers_)
      ->Then([this, revision, form = *form, gzip = negotiated->gzip](Work& work) {
        Read(work, revision, form, gzip);
      });
}

void ListHandler::Read(Work& work, base::Revision revision, const objects::ListForm& form,
                       bool gzip) const {
  objects::ListQuery query = QueryOf(work.call(), revision);
  query.stop = work.stop();
  const auto maker = std::make_shared<objects::ListMaker>(
      objects::ListReader(records_.history, records_.keys, kind_, std::move(query)),
      objects::ListEncoder(*work.call().resource, form, clock_.WallNow()), records_.memory,
      work.call().user->name);
  const auto fail = [&work](const base::Status& status) {
    work.Answer([&](Call& call) { call.Fail(ListError(call, status)); });
  };
  if (const base::Status ready = maker->Prepare(); !ready.ok()) return fail(ready);
  bool whole = false;
  base::StatusOr<std::string> bytes = Beginning(*maker, whole);
  if (!bytes.ok()) return fail(bytes.status());
  gzip = gzip && bytes->size() > wire::kGzipThreshold;
  http::Response response = ResponseIn(form.representation.type, gzip);
  NextPiece next = [maker] { return maker->Next(); };
  if (gzip) {
    const auto stream = std::make_shared<wire::GzipStream>();
    *bytes = stream->Write(*bytes);
    if (whole) *bytes += stream->Finish();
    next = Gzipped(stream, std::move(next));
  }
  const std::shared_ptr<Call> call = work.Leave();
  if (call == nullptr) return;
  if (whole) {
    response.body = std::make_shared<const std::string>(*std::move(bytes));
  } else {
    response.flow = BodyOf(*std::move(bytes), std::move(next), work.stop_source(), call, workers_);
  }
  call->Respond(std::move(response));
}

}  // namespace strata::endpoints
