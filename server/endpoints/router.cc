#include "server/endpoints/router.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include "lib/codec/json_text.h"
#include "server/endpoints/get_request.h"
#include "server/endpoints/version.h"

namespace strata::endpoints {
namespace {

std::string_view HeaderOf(const Call& call, std::string_view name) {
  const std::string* value = call.request.headers.Find(name);
  return value == nullptr ? std::string_view() : std::string_view(*value);
}

// Of what the path is about, by the method: HEAD has no route there (k8s.io/apiserver
// pkg/endpoints/installer.go). Only whether a GET of a collection watches is the query's to say.
std::string_view VerbOf(const registry::Target& target, const Call& call) {
  const std::string& method = call.request.method;
  if (target.watch) return method == "GET" ? "watch" : "";
  if (target.scope == registry::Scope::kObject) {
    if (method == "GET") return "get";
    if (method == "PUT") return "update";
    if (method == "PATCH") return "patch";
    return method == "DELETE" ? "delete" : "";
  }
  if (method == "GET") return call.info->verb == "watch" ? "watch" : "list";
  // Nothing is made or deleted in all namespaces at once.
  if (target.resource->namespaced && target.scope == registry::Scope::kCluster) return "";
  if (method == "POST") return "create";
  return method == "DELETE" ? "deletecollection" : "";
}

}  // namespace

void Router::AddPath(std::string path, CallHandler handler) {
  paths_[std::move(path)] = std::move(handler);
}

void Router::Serve(const registry::Resource& resource, std::string_view verb, CallHandler handler) {
  const auto group = std::find_if(groups_.begin(), groups_.end(), [&](const auto* one) {
    return one->group_version() == resource.group->group_version();
  });
  const registry::Resource* own = group == groups_.end() ? nullptr : (*group)->Find(resource.name);
  if (own == nullptr || !own->serves(verb)) std::abort();  // discovery wouldn't name it
  resources_[{own, std::string(verb)}] = std::move(handler);
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
  if (call->resource != nullptr) return RouteResource(std::move(call));
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

void Router::Aim(Call& call) const {
  // Parts don't tell what slashes are before them, and go-restful wants one.
  if (!call.info->path.starts_with("/apis/")) return;
  const registry::Target target = registry::TargetOf(groups_, call.info->parts);
  if (target.resource == nullptr) return;
  call.resource = target.resource;
  call.scope = target.scope;
  call.verb = VerbOf(target, call);
}

void Router::RouteResource(std::shared_ptr<Call> call) const {
  auto found = resources_.find({call->resource, std::string(call->verb)});
  // A list that can't be watched says so itself, behind what else is wrong (ListResource in
  // k8s.io/apiserver pkg/endpoints/handlers/get.go).
  if (found == resources_.end() && call->verb == "watch")
    found = resources_.find({call->resource, "list"});
  if (found == resources_.end()) return call->Fail(api::MethodNotAllowed());
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
