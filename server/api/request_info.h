// What a request is about (k8s.io/apiserver pkg/endpoints/request/requestinfo.go). Authorization
// and routing both use what is parsed here, once, so they cannot disagree about a path.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/query.h"

namespace strata::api {

struct RequestInfo {
  std::string path;                // decoded, as sent: neither dots nor slashes are cleaned
  std::vector<std::string> parts;  // of the path without the slashes around it; empty ones stay
  Query query;

  bool is_resource = false;
  std::string
      verb;  // get, list, watch, create, …; of other paths the method in lower case; may be empty
  std::string api_group;
  std::string api_version;
  std::string ns;
  std::string resource;
  std::string subresource;
  std::string name;

  // The request's, if it is well-formed: what is asked of others for it carries it on.
  std::string traceparent;

  // Why the path, though in the form of a resource's, can't be understood: the request is answered
  // with it and 500.
  std::string problem;
};

// Nothing if the target isn't a path with valid escapes: net/http answers such a request with a
// bare 400.
std::optional<RequestInfo> ParseRequestInfo(std::string_view method, std::string_view target);

// The same, or null, remembered: clients ask for the same again. Each thread remembers its own, a
// bounded number of short ones.
std::shared_ptr<const RequestInfo> RecallRequestInfo(std::string_view method,
                                                     std::string_view target);

// Whether its answer may go on for as long as the client likes (k8s.io/apiserver
// pkg/server/filters/longrunning.go BasicLongRunningRequestCheck; of its verbs and subresources
// none other is ever served here).
inline bool IsLongRunning(const RequestInfo& info) {
  return info.is_resource && info.verb == "watch";
}

}  // namespace strata::api
