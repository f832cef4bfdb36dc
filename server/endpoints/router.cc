#include "server/endpoints/router.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include "lib/codec/json_text.h"
#include "server/endpoints/version.h"

namespace strata::endpoints {
namespace {

std::string_view HeaderOf(const Call& call, std::string_view name) {
  const std::string* value = call.request.headers.Find(name);
  return value == nullptr ? std::string_view() : std::string_view(*value);
}

// Of an object's path; HEAD has no route there (k8s.io/apiserver pkg/endpoints/installer.go).
std::string VerbOf(std::string_view method) {
  if (method == "GET") return "get";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  return method == "DELETE" ? "delete" : "";
}

}  // namespace

void Router::AddPath(std::string path, CallHandler handler) {
  paths_[std::move(path)] = std::move(handler);
}

void Router::Serve(const registry::Resource& resource, std::string_view verb, CallHandler handler) {
  if (!resource.serves(verb)) std::abort();  // discovery wouldn't name it
  objects_[{&resource, std::string(verb)}] = std::move(handler);
}

void Router::AddHealth(const Health& health) {
  for (const std::string& path : health.Paths()) {
    AddPath(path, [&health, path](const std::shared_ptr<Call>& call) {
      call->Respond(health.Answer(path, call->info->query.Find("verbose").has_value(),
                                  call->info->query.All("exclude")));
    });
  }
}

void Router::AddVersion() {
  // OpenShift's clients ask the second one.
  for (const char* path : {"/version", "/version/openshift"}) {
    AddPath(path, [](const std::shared_ptr<Call>& call) { call->Respond(AnswerVersion()); });
  }
}

void Router::AddDiscovery(const api::Discovery& discovery) {
  for (const std::string_view path : discovery.Paths()) {
    AddPath(std::string(path), [&discovery, path](const std::shared_ptr<Call>& call) {
      call->Respond(discovery.Answer(path, call->preference(), HeaderOf(*call, "if-none-match")));
    });
  }
}

void Router::AddOpenApi(const api::OpenApi& openapi) {
  for (const std::string_view path : openapi.Paths()) {
    AddPath(std::string(path), [&openapi, path](const std::shared_ptr<Call>& call) {
      call->Respond(openapi.Answer(path, {.accept = HeaderOf(*call, "accept"),
                                          .if_none_match = HeaderOf(*call, "if-none-match"),
                                          .hash = call->info->query.Get("hash")}));
    });
  }
}

void Router::Route(std::shared_ptr<Call> call) const {
  if (call->resource != nullptr) return RouteObject(std::move(call));
  std::string_view path = call->info->path;
  if (path == "/") return AnswerPaths(*call, 200);
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const auto found = paths_.find(path);
  if (found != paths_.end()) {
    if (call->request.method != "GET" && call->request.method != "HEAD")
      return call->Fail(api::MethodNotAllowed());
    return found->second(std::move(call));
  }
  const bool in_group = std::any_of(groups_.begin(), groups_.end(), [&](const auto* group) {
    return call->info->path.starts_with("/apis/" + group->name() + "/");
  });
  if (in_group) return call->Fail(api::NotFoundGeneric());
  AnswerPaths(*call, 404);
}

// By the method, not by the verb that is authorized: that of an object without a name is list.
void Router::RouteObject(std::shared_ptr<Call> call) const {
  const auto found = objects_.find({call->resource, VerbOf(call->request.method)});
  if (found == objects_.end()) return call->Fail(api::MethodNotAllowed());
  found->second(std::move(call));
}

// What a path outside of all known roots is answered with, as the reference answers: what there is
// instead.
void Router::AnswerPaths(Call& call, int status) const {
  std::string json = R"({"paths":[)";
  for (const auto& [path, handler] : paths_) {
    if (json.back() != '[') json += ',';
    codec::AppendJsonString(path, json);
  }
  http::Response response;
  response.status = status;
  response.headers.Add("content-type", "application/json");
  response.body = std::make_shared<const std::string>(codec::Indent(json + "]}"));
  call.Respond(std::move(response));
}

}  // namespace strata::endpoints
