// What an API server answers in Kubernetes protobuf: objects in their envelopes, lists, events of
// watches.
#pragma once

#include <string>
#include <vector>

#include "proto/k8s/list.pb.h"
#include "proto/k8s/meta_v1.pb.h"
#include "proto/k8s/runtime.pb.h"
#include "server/kube/api.h"

namespace strata::testing_support {

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;

inline std::string Envelope(const std::string& raw, const std::string& kind = "") {
  ::k8s::io::apimachinery::pkg::runtime::Unknown unknown;
  unknown.mutable_type_meta()->set_kind(kind);
  unknown.set_raw(raw);
  return std::string("k8s\0", 4) + unknown.SerializeAsString();
}

inline kube::Response Page(const std::vector<std::string>& items, const std::string& revision,
                           const std::string& next = "", const std::string& kind = "") {
  meta::RawList list;
  list.mutable_metadata()->set_resource_version(revision);
  list.mutable_metadata()->set_continue_(next);
  for (const std::string& item : items) list.add_items(item);
  return {200, Envelope(list.SerializeAsString(), kind)};
}

inline std::string Frame(const std::string& type, const std::string& object,
                         const std::string& kind = "") {
  meta::WatchEvent event;
  event.set_type(type);
  event.mutable_object()->set_raw(Envelope(object, kind));
  const std::string bytes = event.SerializeAsString();
  std::string length(4, '\0');
  for (size_t i = 0; i < 4; ++i) length[i] = static_cast<char>(bytes.size() >> (24 - 8 * i));
  return length + bytes;
}

inline std::string ErrorFrame(int code, const std::string& message) {
  meta::Status status;
  status.set_code(code);
  status.set_message(message);
  return Frame("ERROR", status.SerializeAsString(), "Status");
}

}  // namespace strata::testing_support
