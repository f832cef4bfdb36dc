#include "server/endpoints/get_request.h"

#include <string>
#include <string_view>
#include <utility>

#include "lib/base/ascii.h"
#include "lib/image/object_name.h"
#include "server/api/quote.h"

namespace strata::endpoints {
namespace {

// Of those that are named several times the first counts (k8s.io/apimachinery
// pkg/runtime/conversion.go Convert_Slice_string_To_bool).
bool AsksForExport(const api::Query& query) {
  const auto value = query.Find("export");
  return value && *value != "0" && base::Lower(*value) != "false";
}

std::optional<api::Error> RefuseObject(const api::RequestInfo& info) {
  if (AsksForExport(info.query)) {
    return api::BadRequest("the export parameter, deprecated since v1.14, is no longer supported");
  }
  if (const std::string problem = image::PathSegmentProblem(info.name); !problem.empty()) {
    return api::BadRequest("Name parameter invalid: " + api::Quote(info.name) + ": " + problem);
  }
  return std::nullopt;
}

}  // namespace

std::optional<api::Error> RefuseGet(const Call& call) {
  if (call.info->ns.empty()) return api::BadRequest("Namespace parameter required.");
  if (call.info->name.empty()) return api::BadRequest("name must be provided");
  std::optional<api::Error> refused = RefuseObject(*call.info);
  if (!refused) return std::nullopt;
  // A form that can't be had comes first.
  const wire::Negotiation negotiation = wire::Negotiate(call.preference());
  if (negotiation.refusal != wire::Refusal::kNone) return api::NotAcceptable(negotiation.refusal);
  return refused;
}

}  // namespace strata::endpoints
