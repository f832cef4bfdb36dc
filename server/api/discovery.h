// The discovery documents, made once from what is served and sent from memory: they don't depend on
// any backend, and are the same on every replica.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/transport/http/message.h"
#include "server/registry/resource.h"
#include "server/wire/negotiate.h"

namespace strata::api {

// Immutable once made.
class Discovery {
 public:
  explicit Discovery(const registry::Groups& groups);

  // /apis, and for each group /apis/GROUP and /apis/GROUP/VERSION.
  std::vector<std::string_view> Paths() const;

  // `path` is one of Paths(); `if_none_match` the request's, which matters for the aggregated form
  // of /apis alone.
  http::Response Answer(std::string_view path, const wire::Preference& preference,
                        std::string_view if_none_match = {}) const;

 private:
  // The form that kube-aggregator and client-go ask for (k8s.io/apiserver
  // pkg/endpoints/discovery/aggregated).
  struct Aggregated {
    std::string etag;
    std::map<std::string, std::shared_ptr<const std::string>, std::less<>> bodies;
  };
  static http::Response AnswerAggregated(const Aggregated& document,
                                         const wire::Representation& form,
                                         std::string_view if_none_match);

  Aggregated v2_, v2beta1_;
  std::map<std::string, std::map<std::string, std::shared_ptr<const std::string>>, std::less<>>
      bodies_;
};

}  // namespace strata::api
