#include "server/api/error.h"

#include <fmt/format.h>

#include <memory>

#include "proto/k8s/meta_v1.pb.h"
#include "server/api/continue_token.h"
#include "server/api/quote.h"
#include "server/wire/encode.h"

namespace strata::api {
namespace {

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;

// responsewriters/errors.go sanitizer.
std::string HtmlEscaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string QualifiedResource(std::string_view resource, std::string_view group) {
  return group.empty() ? std::string(resource) : fmt::format("{}.{}", resource, group);
}

}  // namespace

meta::Status StatusOf(const Error& error) {
  meta::Status status;
  status.set_status("Failure");
  status.set_message(error.message);
  status.set_reason(error.reason);
  status.set_code(error.code);
  if (!error.continue_token.empty()) status.mutable_metadata()->set_continue_(error.continue_token);
  if (!error.details) return status;
  auto& details = *status.mutable_details();
  details.set_name(error.details->name);
  details.set_group(error.details->group);
  details.set_kind(error.details->kind);
  details.set_retry_after_seconds(error.details->retry_after_seconds);
  for (const Cause& cause : error.details->causes) {
    auto* added = details.add_causes();
    added->set_reason(cause.reason);
    added->set_message(cause.message);
    added->set_field(cause.field);
  }
  return status;
}

namespace {

Error Expired(std::string message) {
  return {410, "Expired", std::move(message), {}};
}

http::Response Make(int code, std::string_view content_type, std::string body) {
  http::Response response;
  response.status = code;
  response.headers.Add("content-type", std::string(content_type));
  response.body = std::make_shared<const std::string>(std::move(body));
  return response;
}

}  // namespace

Error NotFound(const registry::Resource& resource, std::string_view name) {
  return {404, "NotFound", fmt::format("{} {} not found", resource.qualified(), Quote(name)),
          Details{std::string(name), resource.group->name(), std::string(resource.parent()), {}}};
}

Error NotFoundSingular(const registry::Resource& resource, std::string_view name) {
  return {404, "NotFound",
          fmt::format("{}.{} {} not found", resource.singular, resource.group->name(), Quote(name)),
          Details{std::string(name), resource.group->name(), resource.singular, {}}};
}

Error NotFoundGeneric() {
  return {404, "NotFound", "the server could not find the requested resource", Details{}};
}

Error MethodNotAllowed() {
  return {405, "MethodNotAllowed",
          "the server does not allow this method on the requested resource", Details{}};
}

Error WatchNotSupported(const registry::Resource& resource) {
  return {
      405, "MethodNotAllowed",
      fmt::format("watch is not supported on resources of kind {}", Quote(resource.qualified())),
      Details{"", resource.group->name(), std::string(resource.parent()), {}}};
}

Error BadRequest(std::string_view message) {
  return {400, "BadRequest", std::string(message), {}};
}

Error Unauthorized() {
  return {401, "Unauthorized", "Unauthorized", {}};
}

Error Forbidden(std::string_view user, const RequestInfo& info, std::string_view reason) {
  const std::string because = reason.empty() ? "" : fmt::format(": {}", reason);
  if (!info.is_resource) {
    return {403, "Forbidden",
            fmt::format("forbidden: {}",
                        HtmlEscaped(fmt::format("User {} cannot {} path {}{}", Quote(user),
                                                info.verb, Quote(info.path), because))),
            Details{}};
  }
  const std::string resource = info.subresource.empty()
                                   ? info.resource
                                   : fmt::format("{}/{}", info.resource, info.subresource);
  const std::string scope =
      info.ns.empty() ? "at the cluster scope" : fmt::format("in the namespace {}", Quote(info.ns));
  const std::string what =
      HtmlEscaped(fmt::format("User {} cannot {} resource {} in API group {} {}{}", Quote(user),
                              info.verb, Quote(resource), Quote(info.api_group), scope, because));
  const std::string qualified = QualifiedResource(info.resource, info.api_group);
  const std::string message =
      info.name.empty() ? fmt::format("{} is forbidden: {}", qualified, what)
                        : fmt::format("{} {} is forbidden: {}", qualified, Quote(info.name), what);
  return {403, "Forbidden", message, Details{info.name, info.api_group, info.resource, {}}};
}

Error NotAcceptable(wire::Refusal refusal) {
  if (refusal == wire::Refusal::kMediaType) {
    return {406, "NotAcceptable",
            "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
            "application/vnd.kubernetes.protobuf",
            Details{}};
  }
  return {406,
          "NotAcceptable",
          "only the following media types are accepted: application/json, application/yaml, "
          "application/vnd.kubernetes.protobuf",
          {},
          Error::Form::kIndentedStatus};
}

Error NotAcceptableCollection() {
  return {406, "NotAcceptable",
          "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
          "application/vnd.kubernetes.protobuf, application/json;stream=watch, "
          "application/vnd.kubernetes.protobuf;stream=watch",
          Details{}};
}

Error NotAcceptableWatch() {
  return {406,
          "NotAcceptable",
          "only the following media types are accepted: application/json;stream=watch, "
          "application/vnd.kubernetes.protobuf;stream=watch",
          {}};
}

Error NotAcceptableObject(const registry::Resource& resource, std::string_view kind) {
  return {406,
          "NotAcceptable",
          fmt::format("you requested {}, but the requested object is a list (*{})", kind,
                      resource.go_list_type()),
          {},
          Error::Form::kIndentedStatus};
}

Error NotAcceptableList(const registry::Resource& resource, std::string_view list_kind) {
  return {406,
          "NotAcceptable",
          fmt::format("you requested {}, but the requested object is not a list (*{}.{})",
                      list_kind, resource.group->package(), resource.kind),
          {},
          Error::Form::kIndentedStatus};
}

Error InternalError(std::string_view message) {
  return {500, "InternalError", fmt::format("Internal error occurred: {}", message),
          Details{"", "", "", {{"", std::string(message), ""}}}};
}

Error ServerTimeout(const registry::Resource& resource) {
  return {500, "ServerTimeout",
          fmt::format("The get operation against {} could not be completed at this time, please "
                      "try again.",
                      resource.qualified()),
          Details{"get", resource.group->name(), std::string(resource.parent()), {}, 2}};
}

Error StorageTimeout(std::string_view message) {
  return {504, "Timeout", fmt::format("Timeout: {}", message), Details{"", "", "", {}, 1}};
}

Error RequestTimeout() {
  return {504, "Timeout", "Timeout: request did not complete within the allotted timeout",
          Details{}, Error::Form::kBareStatus};
}

Error TooLargeResourceVersion(std::string_view asked, int64_t current) {
  return {504, "Timeout",
          fmt::format("Timeout: Too large resource version: {}, current: {}", asked, current),
          Details{"", "", "", {{"ResourceVersionTooLarge", "Too large resource version", ""}}, 1}};
}

Error InvalidResourceVersion(const base::Status& why) {
  return {500, "", std::string(base::Message(why)), {}};
}

Error InvalidListOptions(std::vector<Cause> causes) {
  std::vector<std::string> texts;
  for (const Cause& cause : causes) texts.push_back(cause.field + ": " + cause.message);
  const std::string all = fmt::format("{}", fmt::join(texts, ", "));
  return {422, "Invalid",
          fmt::format(R"(ListOptions.meta.k8s.io "" is invalid: {})",
                      texts.size() == 1 ? all : "[" + all + "]"),
          Details{"", "meta.k8s.io", "ListOptions", std::move(causes)}};
}

Error ExpiredList() {
  return Expired("The resourceVersion for the provided list is too old.");
}

Error ExpiredContinue(std::string_view start) {
  Error error = Expired(
      "The provided continue parameter is too old to display a consistent list result. You can "
      "start a new list without the continue parameter, or use the continue token in this response "
      "to retrieve the remainder of the results. Continuing with the provided token results in an "
      "inconsistent list - objects that were created, modified, or deleted between the time the "
      "first chunk was returned and now may show up in the list.");
  error.continue_token = ContinueInconsistently(start);
  return error;
}

Error TooOldResourceVersion(base::Revision asked, base::Revision oldest) {
  return Expired(fmt::format("too old resource version: {} ({})", asked, oldest));
}

Error TooManyRequests() {
  return {429, "", "Too many requests, please try again later.\n", {}, Error::Form::kText, 1};
}

Error TooManyUnreadAnswers() {
  return {429, "TooManyRequests",
          "Too many bytes of answers wait for clients to read them, please try again later.",
          Details{"", "", "", {}, 1}};
}

Error InternalErrorText(std::string_view target, std::string_view message) {
  const std::string text = fmt::format("Internal Server Error: {}: {}", Quote(target), message);
  return {500, "", HtmlEscaped(text) + "\n", {}, Error::Form::kText};
}

Error Panic() {
  return {500,
          "",
          "This request caused apiserver to panic. Look in the logs for details.\n",
          {},
          Error::Form::kText};
}

http::Response ToResponse(const Error& error, const wire::Preference& preference) {
  if (error.form == Error::Form::kText) {
    http::Response response = Make(error.code, "text/plain; charset=utf-8", error.message);
    response.headers.Add("x-content-type-options", "nosniff");
    if (error.retry_after_seconds > 0)
      response.headers.Add("retry-after", std::to_string(error.retry_after_seconds));
    return response;
  }
  const meta::Status status = StatusOf(error);
  if (error.form == Error::Form::kBareStatus) {
    return Make(error.code, "text/plain; charset=utf-8", wire::Encode(status, {}, {}));
  }
  constexpr codec::TypeMeta kType = {"Status", "v1"};
  wire::Representation representation{.pretty = true};
  const auto negotiated = wire::NegotiatePlain(preference);
  if (negotiated && error.form != Error::Form::kIndentedStatus) representation = *negotiated;
  http::Response response = Make(error.code, wire::ContentType(representation.type),
                                 wire::Encode(status, kType, representation));
  if (error.code == 403) response.headers.Add("x-content-type-options", "nosniff");
  if (error.details && error.details->retry_after_seconds > 0) {
    response.headers.Add("retry-after", std::to_string(error.details->retry_after_seconds));
  }
  return response;
}

}  // namespace strata::api
