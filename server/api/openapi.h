// The OpenAPI documents of what is served, versions 2 and 3, made once from our .proto files
// (k8s.io/kube-openapi pkg/handler, pkg/handler3). The same bytes on every replica of one build.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/transport/http/message.h"
#include "server/registry/resource.h"

namespace strata::api {

// Immutable once made.
class OpenApi {
 public:
  explicit OpenApi(const registry::Groups& groups);

  // /openapi/v2, /openapi/v3, and for each group /openapi/v3/apis/GROUP/VERSION.
  std::vector<std::string_view> Paths() const;

  struct Asked {
    std::string_view accept;         // empty: anything
    std::string_view if_none_match;  // entity tags, or `*`
    std::string_view hash;           // the query's
  };
  // `path` is one of Paths().
  http::Response Answer(std::string_view path, const Asked& asked) const;

 private:
  struct Document {
    std::string path;
    std::shared_ptr<const std::string> body;
    std::string hash;
    // The root takes any Accept, has no entity tag, and its label is what Go's sniffing makes of
    // it.
    bool is_root = false;
  };
  void Add(std::string path, std::string body);

  std::vector<Document> documents_;
};

}  // namespace strata::api
