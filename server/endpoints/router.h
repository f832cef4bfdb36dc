// From a request to the endpoint that answers it (go-restful's CurlyRouter and the path recorder
// mux of k8s.io/apiserver, for the few routes that there are).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "server/api/discovery.h"
#include "server/api/openapi.h"
#include "server/endpoints/call.h"
#include "server/endpoints/health.h"
#include "server/registry/resource.h"

namespace strata::endpoints {

// Has `handler`, which outlives it, serve.
template <typename Handler>
CallHandler ServeBy(Handler& handler) {
  return [&handler](std::shared_ptr<Call> call) { handler.Serve(std::move(call)); };
}

// Set up before serving, constant afterwards.
class Router {
 public:
  explicit Router(registry::Groups groups) : groups_(std::move(groups)) {}

  // A path answered exactly, and with a slash behind it. GET and HEAD reach the handler.
  void AddPath(std::string path, CallHandler handler);
  // What answers `verb` on the resource of the groups that has the name of `resource`, and says
  // that it serves it.
  void Serve(const registry::Resource& resource, std::string_view verb, CallHandler handler);

  // Health, version, discovery, OpenAPI and the list of paths.
  void AddHealth(const Health& health);
  void AddVersion();
  void AddDiscovery(const api::Discovery& discovery);
  void AddOpenApi(const api::OpenApi& openapi);

  const registry::Groups& groups() const { return groups_; }
  // Says what the call, whose request is parsed, is about.
  void Aim(Call& call) const;

  void Route(std::shared_ptr<Call> call) const;

 private:
  void RouteResource(std::shared_ptr<Call> call) const;
  void AnswerPaths(Call& call, int status) const;

  const registry::Groups groups_;
  std::map<std::string, CallHandler, std::less<>> paths_;
  std::map<std::pair<const registry::Resource*, std::string>, CallHandler> resources_;
};

}  // namespace strata::endpoints
