#include "server/endpoints/list_request.h"

#include <optional>
#include <string>
#include <utility>

#include "server/endpoints/get_request.h"
#include "server/endpoints/objects.h"

namespace strata::endpoints {

using Read = api::ListOptions::Read;

std::variant<api::Error, api::ListOptions> ListOptionsOf(const Call& call) {
  const wire::Negotiation negotiation = NegotiateObject(call);
  if (negotiation.refusal == wire::Refusal::kMediaType) return api::NotAcceptableCollection();
  std::optional<api::Error> not_acceptable;
  if (negotiation.refusal != wire::Refusal::kNone)
    not_acceptable = api::NotAcceptable(negotiation.refusal);
  return api::ParseListOptions(*call.info, *call.resource, not_acceptable);
}

void WaitForList(std::shared_ptr<Call> call, Freshness& freshness, FreshHandler& handler) {
  const api::ListOptions& options = *call->options;
  if (options.read == Read::kFresh) return freshness.WaitForNewest(std::move(call), handler);
  const base::Revision revision = options.read == Read::kAnyAge ? 0 : options.revision;
  std::string asked = options.revision_text;
  // Only lists of ours hand out tokens to go on with.
  const auto origin =
      options.start ? reflector::Barrier::Origin::kIndex : reflector::Barrier::Origin::kBackend;
  freshness.WaitForRevision(std::move(call), handler, revision, std::move(asked), origin);
}

base::Revision RevisionOf(const api::ListOptions& options, base::Revision current) {
  return options.read == Read::kExact ? options.revision : current;
}

objects::ListQuery QueryOf(const Call& call, base::Revision revision) {
  const api::ListOptions& options = *call.options;
  return {.ns = options.ns,
          .name = options.name,
          .selector = {options.labels, options.fields, *call.resource},
          .limit = options.limit,
          .start = options.start.value_or(""),
          .revision = revision,
          .deadline = call.deadline,
          .traceparent = call.info->traceparent};
}

api::Error ListError(const Call& call, const base::Status& status) {
  if (status.code() != base::StatusCode::kOutOfRange) return ErrorOf(status, "the list");
  const api::ListOptions& options = *call.options;
  return options.start ? api::ExpiredContinue(*options.start) : api::ExpiredList();
}

}  // namespace strata::endpoints
