// Where records stand in the backend (k8s.io/apiserver pkg/storage/etcd3/store.go):
// <prefix>/images/<name> and <prefix>/imagestreams/<namespace>/<name>.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "storage/records/record.h"

namespace strata::records {

class Keys {
 public:
  // `prefix` as --etcd-prefix gives it, with or without slashes around.
  explicit Keys(std::string_view prefix);

  std::string KeyOf(const Id& id) const;

  // Nothing if the key is no image's and no image stream's.
  std::optional<Id> Parse(std::string_view key) const;

  // One range, [begin, end), that spans both kinds: they are neighbours. Other keys between are
  // ignored.
  const std::string& begin() const { return images_; }
  const std::string& end() const { return end_; }

  // Everything under the prefix, for stores that take a range for the one folder that its end names
  // (kine).
  std::string begin_of_all() const;
  std::string end_of_all() const;

  // The range of one kind, or of one namespace's streams.
  std::string BeginOf(Kind kind, std::string_view ns = {}) const;
  std::string EndOf(Kind kind, std::string_view ns = {}) const;

 private:
  std::string root_;     // "/openshift.io/"
  std::string images_;   // "/openshift.io/images/"
  std::string streams_;  // "/openshift.io/imagestreams/"
  std::string end_;      // "/openshift.io/imagestreams0"
};

}  // namespace strata::records
