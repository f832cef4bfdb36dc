// What tests of this room say objects, events and lists with.
#pragma once

#include <string>
#include <vector>

#include "proto/k8s/list.pb.h"
#include "test/support/fake_kube.h"
#include "test/support/kube_bytes.h"

namespace strata::kube_source {

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;

struct Named {
  std::string ns, name, revision;
};

inline std::string Bytes(const Named& object) {
  meta::AnyObject any;
  any.mutable_metadata()->set_namespace_(object.ns);
  any.mutable_metadata()->set_name(object.name);
  any.mutable_metadata()->set_resource_version(object.revision);
  return any.SerializeAsString();
}

inline const char* KindOf(const Named& object) {
  return object.ns.empty() ? "Image" : "ImageStream";
}

inline std::string Event(const std::string& type, const Named& object) {
  return testing_support::Frame(type, Bytes(object), KindOf(object));
}

// Of the resource of that kind.
inline std::string Bookmark(const std::string& kind, const std::string& revision,
                            bool ends_list = false) {
  meta::AnyObject any;
  any.mutable_metadata()->set_resource_version(revision);
  if (ends_list)
    (*any.mutable_metadata()->mutable_annotations())["k8s.io/initial-events-end"] = "true";
  return testing_support::Frame("BOOKMARK", any.SerializeAsString(), kind);
}

inline kube::Response ListOf(const std::string& kind, const std::vector<Named>& objects,
                             const std::string& revision, const std::string& next = "") {
  std::vector<std::string> items;
  for (const Named& object : objects) items.push_back(Bytes(object));
  return testing_support::Page(items, revision, next, kind + "List");
}

// As the API server says that there is no such object.
inline kube::Response Absent(const std::string& name) {
  meta::Status status;
  status.set_message(name + " not found");
  status.mutable_details()->set_name(name);
  return {404, testing_support::Envelope(status.SerializeAsString(), "Status")};
}

}  // namespace strata::kube_source
