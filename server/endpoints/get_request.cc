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

std::optional<api::Error> RefuseObject(const Call& call) {
  if (AsksForExport(call.info->query)) {
    return api::BadRequest("the export parameter, deprecated since v1.14, is no longer supported");
  }
  return call.resource->computed ? std::nullopt : RefuseName(call.info->name);
}

}  // namespace

std::optional<api::Error> RefuseName(const std::string& name) {
  const std::string problem = image::PathSegmentProblem(name);
  if (problem.empty()) return std::nullopt;
  return api::BadRequest("Name parameter invalid: " + api::Quote(name) + ": " + problem);
}

std::optional<api::Error> RefuseNameless(const Call& call) {
  if (call.resource->namespaced && call.info->ns.empty())
    return api::BadRequest("Namespace parameter required.");
  if (call.info->name.empty()) return api::BadRequest("name must be provided");
  return std::nullopt;
}

std::optional<api::Error> RefuseGet(const Call& call) {
  if (auto nameless = RefuseNameless(call)) return nameless;
  std::optional<api::Error> refused = RefuseObject(call);
  if (!refused) return std::nullopt;
  // A form that can't be had comes first.
  const wire::Negotiation negotiation = NegotiateObject(call);
  if (negotiation.refusal != wire::Refusal::kNone) return api::NotAcceptable(negotiation.refusal);
  return refused;
}

wire::Negotiation NegotiateObject(const Call& call) {
  return wire::Negotiate(call.preference(), call.resource->table == nullptr
                                                ? wire::MetadataConversions()
                                                : wire::TableConversions());
}

}  // namespace strata::endpoints
