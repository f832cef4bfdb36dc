// The legacy discovery documents, made once from what is served and sent from memory.
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
  std::vector<std::string> verbs;  // in alphabetical order
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

  // `path` is /apis, /apis/image.openshift.io or /apis/image.openshift.io/v1.
  http::Response Answer(std::string_view path, const wire::Preference& preference) const;

 private:
  std::map<std::string, std::map<std::string, std::shared_ptr<const std::string>>, std::less<>>
      bodies_;
};

}  // namespace strata::api
