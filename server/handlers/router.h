// From a request to the endpoint that answers it (go-restful's CurlyRouter and the path recorder
// mux of k8s.io/apiserver, for the few routes that there are).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "server/api/discovery.h"
#include "server/api/openapi.h"
#include "server/handlers/call.h"
#include "server/handlers/health.h"

namespace strata::handlers {

// Set up before serving, constant afterwards.
class Router {
 public:
  // A path answered exactly, and with a slash behind it. GET and HEAD reach the handler.
  void AddPath(std::string path, CallHandler handler);
  void SetLayers(CallHandler handler) { layers_ = std::move(handler); }
  void SetImageStream(CallHandler handler) { image_stream_ = std::move(handler); }

  // Health, version, discovery, OpenAPI and the list of paths.
  void AddHealth(const Health& health);
  void AddVersion();
  void AddDiscovery(const api::Discovery& discovery);
  void AddOpenApi(const api::OpenApi& openapi);

  void Route(std::shared_ptr<Call> call) const;

  enum class Target { kLayers, kImageStream, kOther };
  // What the call's metrics are labelled with: the resource that a route serves, or nothing of the
  // request.
  static Target TargetOf(const api::RequestInfo& info);

 private:
  void AnswerPaths(Call& call, int status) const;

  std::map<std::string, CallHandler, std::less<>> paths_;
  CallHandler layers_, image_stream_;
};

}  // namespace strata::handlers
