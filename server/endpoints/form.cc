#include "server/endpoints/form.h"

#include <memory>
#include <string>
#include <utility>

#include "server/api/headers.h"
#include "server/endpoints/get_request.h"
#include "server/wire/gzip.h"

namespace strata::endpoints {

std::optional<layers::Form> NegotiateForm(Call& call) {
  const wire::Negotiation negotiation = NegotiateObject(call);
  if (negotiation.refusal != wire::Refusal::kNone) {
    call.Fail(api::NotAcceptable(negotiation.refusal));
    return std::nullopt;
  }
  const std::string* encoding = call.request.headers.Find("accept-encoding");
  return layers::Form{negotiation.representation,
                      encoding != nullptr && wire::AcceptsGzip(*encoding)};
}

bool RefuseListForm(Call& call, const layers::Form& form) {
  if (form.representation.transform != wire::Transform::kPartialObjectMetadataList) return false;
  call.Fail(api::NotAcceptableList(*call.resource, "PartialObjectMetadataList"));
  return true;
}

void RespondIn(Call& call, const layers::Form& form, std::string body,
               const std::vector<std::string>& warnings) {
  const bool gzip = form.gzip && body.size() > wire::kGzipThreshold;
  if (gzip) body = wire::Gzip(body);
  http::Response response = ResponseIn(form.representation.type, gzip);
  api::AddWarnings(warnings, response.headers);
  response.body = std::make_shared<const std::string>(std::move(body));
  call.Respond(std::move(response));
}

http::Response ResponseIn(wire::MediaType type, bool gzipped) {
  http::Response response;
  response.headers.Reserve(5);  // with those of every answer
  if (gzipped) response.headers.Add("content-encoding", "gzip");
  response.headers.Add("content-type", std::string(wire::ContentType(type)));
  if (gzipped) response.headers.Add("vary", "Accept-Encoding");
  return response;
}

}  // namespace strata::endpoints
