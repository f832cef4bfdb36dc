// The discovery documents, made once from what is served and sent from memory: they don't depend on
// any backend, and are the same on every replica.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/message.h"
#include "server/wire/negotiate.h"

namespace strata::api {

// One resource, or subresource, of image.openshift.io/v1.
struct Resource {
  std::string name;      // "imagestreams/layers"
  std::string singular;  // empty for subresources
  bool namespaced;
  std::string kind;
  // In alphabetical order. Without any a resource is named only as the parent of its subresources,
  // so that clients can map its name to a group; nobody watches, lists or deletes it.
  std::vector<std::string> verbs;
  std::vector<std::string> short_names = {};
  std::vector<std::string> categories = {};
  // Of what is stored: base64 of the first 8 bytes of SHA-256 of "image.openshift.io/v1/Kind"
  // (storageversionhash.go).
  std::string storage_version_hash = {};
};

// What this server serves, in the order of their names.
const std::vector<Resource>& ServedResources();

// Immutable once made.
class Discovery {
 public:
  explicit Discovery(const std::vector<Resource>& resources);

  // `path` is /apis, /apis/image.openshift.io or /apis/image.openshift.io/v1; `if_none_match` the
  // request's, which matters for the aggregated form of /apis alone.
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
