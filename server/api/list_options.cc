#include "server/api/list_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/ascii.h"
#include "lib/codec/json_text.h"
#include "lib/image/object_name.h"
#include "server/api/continue_token.h"
#include "server/api/label_syntax.h"
#include "server/api/number.h"
#include "server/api/quote.h"

namespace strata::api {
namespace {

constexpr std::string_view kExact = "Exact", kNotOlderThan = "NotOlderThan";

// runtime.Convert_Slice_string_To_bool.
std::optional<bool> Flag(const Query& query, std::string_view name) {
  const auto text = query.Find(name);
  if (!text) return std::nullopt;
  return *text != "0" && !base::EqualsIgnoringCase(*text, "false");
}

// internalversion.SetListOptionsDefaults.
void SetDefaults(ListParameters& asked) {
  const bool decided = asked.send_initial_events || !asked.resource_version_match.empty();
  const bool from_start = asked.resource_version.empty() || asked.resource_version == "0";
  if (decided || !asked.watch || !from_start) return;
  asked.send_initial_events = true;
  asked.resource_version_match = kNotOlderThan;
}

// field.Forbidden.
Cause Forbidden(std::string field, std::string_view why) {
  return {"FieldValueForbidden", fmt::format("Forbidden: {}", why), std::move(field)};
}

// field.NotSupported, whose value is of a type of its own and so printed as JSON.
Cause NotSupportedMatch(std::string_view value, std::string_view supported) {
  std::string json;
  codec::AppendJsonString(value, json);
  return {"FieldValueNotSupported",
          fmt::format("Unsupported value: {}: supported values: {}", json, supported),
          "resourceVersionMatch"};
}

// validation.ValidateListOptions.
std::vector<Cause> ValidateList(const ListParameters& asked) {
  std::vector<Cause> causes;
  const std::string& match = asked.resource_version_match;
  const auto forbid = [&](std::string_view why) {
    causes.push_back(Forbidden("resourceVersionMatch", why));
  };
  if (!match.empty()) {
    if (asked.resource_version.empty())
      forbid("resourceVersionMatch is forbidden unless resourceVersion is provided");
    if (!asked.continue_token.empty())
      forbid("resourceVersionMatch is forbidden when continue is provided");
    if (match != kExact && match != kNotOlderThan)
      causes.push_back(NotSupportedMatch(match, R"("Exact", "NotOlderThan", "")"));
    if (match == kExact && asked.resource_version == "0")
      forbid(R"(resourceVersionMatch "exact" is forbidden for resourceVersion "0")");
  }
  if (asked.send_initial_events)
    causes.push_back(Forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
  return causes;
}

// validation.validateWatchOptions.
std::vector<Cause> ValidateWatch(const ListParameters& asked) {
  std::vector<Cause> causes;
  const std::string& match = asked.resource_version_match;
  const auto forbid = [&](std::string_view why) {
    causes.push_back(Forbidden("resourceVersionMatch", why));
  };
  if (asked.send_initial_events && match != kNotOlderThan)
    forbid("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  if (match.empty()) return causes;
  if (!asked.send_initial_events)
    forbid("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
  if (match != kNotOlderThan) causes.push_back(NotSupportedMatch(match, R"("NotOlderThan")"));
  if (!asked.continue_token.empty())
    forbid("resourceVersionMatch is forbidden when continue is provided");
  return causes;
}

// Of the parameters, before the request's form is looked at.
std::optional<Error> Check(const ListParameters& asked) {
  std::vector<Cause> causes = asked.watch ? ValidateWatch(asked) : ValidateList(asked);
  if (causes.empty()) return std::nullopt;
  return InvalidListOptions(std::move(causes));
}

// The conversion of field labels, and what ListResource makes of a name in the path.
std::optional<Error> TakeFields(const RequestInfo& info, const registry::Resource& resource,
                                ListParameters& asked) {
  if (const std::string* field = asked.fields.FirstUnknown(resource.selectable_fields)) {
    return BadRequest(fmt::format(
        R"({} is not a known field selector: only "metadata.name", "metadata.namespace")",
        Quote(*field)));
  }
  if (info.name.empty()) return std::nullopt;
  if (asked.fields.empty()) asked.fields = FieldSelector("metadata.name", info.name);
  if (asked.fields.RequiresExactMatch("metadata.name") != info.name)
    return BadRequest("fieldSelector metadata.name doesn't match requested name");
  return std::nullopt;
}

// Store.ListPredicate and WatchPredicate: what the fields say of the key.
// Nothing of a page but the first, whose token says where it goes on in the path's.
void TakeScope(const RequestInfo& info, const registry::Resource& resource, bool continued,
               ListOptions& options) {
  options.ns = info.ns;
  if (continued) return;
  if (resource.namespaced && options.ns.empty()) {
    auto demanded = options.fields.RequiresExactMatch("metadata.namespace");
    if (demanded && IsDns1123Label(*demanded)) options.ns = *std::move(demanded);
  }
  auto name = options.fields.RequiresExactMatch("metadata.name");
  const bool has_key = !resource.namespaced || !options.ns.empty();
  if (name && !name->empty() && image::IsPathSegment(*name) && has_key)
    options.name = std::move(name);
}

// `revision` is the parsed resourceVersion; zero is none in particular.
void TakeRevision(uint64_t revision, ListOptions& options) {
  options.revision = static_cast<base::Revision>(std::min<uint64_t>(revision, INT64_MAX));
  options.revision_text = std::to_string(revision);
}

// Cacher.Watch.
std::optional<Error> TakeWatch(const ListParameters& asked, ListOptions& options) {
  const auto revision = ParseResourceVersion(asked.resource_version);
  if (!revision.ok()) return InvalidResourceVersion(revision.status());
  TakeRevision(*revision, options);
  const auto& send = asked.send_initial_events;
  options.watch = true;
  options.allow_bookmarks = asked.allow_watch_bookmarks;
  options.initial_events = send.value_or(*revision == 0);
  options.initial_events_end = send.value_or(false) && asked.allow_watch_bookmarks;
  if (asked.resource_version.empty() && send) {
    options.read = ListOptions::Read::kFresh;
  } else if (*revision == 0) {
    options.read = ListOptions::Read::kAnyAge;
  } else {
    options.read =
        options.initial_events ? ListOptions::Read::kNotOlderThan : ListOptions::Read::kExact;
  }
  // time.Duration overflows, and so does this.
  const auto nanos = static_cast<int64_t>(static_cast<uint64_t>(asked.timeout_seconds.value_or(0)) *
                                          1'000'000'000);
  if (nanos != 0) options.timeout = std::chrono::nanoseconds(nanos);
  return std::nullopt;
}

// storage.ValidateListOptions of a page but the first.
std::optional<Error> TakeContinue(const ListParameters& asked, ListOptions& options) {
  auto point = ParseContinue(asked.continue_token);
  if (!point.ok())
    return BadRequest(fmt::format("invalid continue token: {}", base::Message(point.status())));
  if (!asked.resource_version.empty() && asked.resource_version != "0")
    return BadRequest("specifying resource version is not allowed when using continue");
  options.start = std::move(point->start);
  if (point->revision == ContinuePoint::kNewest) return std::nullopt;
  options.read = ListOptions::Read::kExact;
  TakeRevision(static_cast<uint64_t>(point->revision), options);
  return std::nullopt;
}

// The same of a first page, and delegator.ShouldDelegateList. A limit makes it exact, unless there
// is but one record.
std::optional<Error> TakeFirstPage(const ListParameters& asked, ListOptions& options) {
  if (asked.resource_version.empty()) return std::nullopt;
  const auto revision = ParseResourceVersion(asked.resource_version);
  if (!revision.ok()) {
    return BadRequest(
        fmt::format("invalid resource version: {}", base::Message(revision.status())));
  }
  TakeRevision(*revision, options);
  const bool limited = asked.resource_version_match.empty() && asked.limit > 0 &&
                       asked.resource_version != "0" && !options.name;
  if (asked.resource_version_match == kExact || limited) {
    options.read = *revision == 0 ? ListOptions::Read::kFresh : ListOptions::Read::kExact;
  } else {
    options.read = *revision == 0 ? ListOptions::Read::kAnyAge : ListOptions::Read::kNotOlderThan;
  }
  return std::nullopt;
}

std::optional<Error> TakeList(const ListParameters& asked, ListOptions& options) {
  // computeListLimit.
  if (asked.limit > 0 && asked.resource_version != "0") options.limit = asked.limit;
  return asked.continue_token.empty() ? TakeFirstPage(asked, options)
                                      : TakeContinue(asked, options);
}

}  // namespace

base::StatusOr<ListParameters> DecodeListParameters(const Query& query) {
  ListParameters asked;
  asked.watch = Flag(query, "watch").value_or(false);
  asked.allow_watch_bookmarks = Flag(query, "allowWatchBookmarks").value_or(false);
  asked.resource_version = query.Get("resourceVersion");
  asked.resource_version_match = query.Get("resourceVersionMatch");
  if (const auto text = query.Find("timeoutSeconds")) {
    STRATA_ASSIGN_OR_RETURN(asked.timeout_seconds, ParseInt(*text));
  }
  if (const auto text = query.Find("limit")) {
    STRATA_ASSIGN_OR_RETURN(asked.limit, ParseInt(*text));
  }
  asked.continue_token = query.Get("continue");
  asked.send_initial_events = Flag(query, "sendInitialEvents");
  STRATA_ASSIGN_OR_RETURN(asked.labels, LabelSelector::Parse(query.Get("labelSelector")));
  STRATA_ASSIGN_OR_RETURN(asked.fields, FieldSelector::Parse(query.Get("fieldSelector")));
  return asked;
}

std::variant<Error, ListOptions> ParseListOptions(const RequestInfo& info,
                                                  const registry::Resource& resource,
                                                  const std::optional<Error>& not_acceptable) {
  auto decoded = DecodeListParameters(info.query);
  if (!decoded.ok()) return BadRequest(base::Message(decoded.status()));
  ListParameters& asked = *decoded;
  SetDefaults(asked);
  if (auto error = Check(asked)) return *std::move(error);
  if (not_acceptable) return *not_acceptable;
  if (auto error = TakeFields(info, resource, asked)) return *std::move(error);
  const bool watch = info.verb == "watch";
  if (watch && !resource.serves("watch")) return WatchNotSupported(resource);

  ListOptions options;
  options.labels = std::move(asked.labels);
  options.fields = std::move(asked.fields);
  TakeScope(info, resource, !watch && !asked.continue_token.empty(), options);
  if (auto error = watch ? TakeWatch(asked, options) : TakeList(asked, options))
    return *std::move(error);
  return options;
}

}  // namespace strata::api
