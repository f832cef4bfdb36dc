// The events of a watch, in Kubernetes protobuf: frames with their length in front (apimachinery
// pkg/util/framer LengthDelimitedFramer), each of an event that holds an object in its envelope.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "lib/base/status.h"
#include "proto/k8s/runtime.pb.h"

namespace strata::kube {

// For one thread.
class WatchEvents {
 public:
  using Object = ::k8s::io::apimachinery::pkg::runtime::Unknown;
  using Visit = absl::FunctionRef<base::Status(std::string_view type, const Object& object)>;

  explicit WatchEvents(size_t max_frame_bytes) : max_frame_bytes_(max_frame_bytes) {}

  // A new watch begins.
  void Clear() { buffer_.clear(); }

  // Visits, in order, the events that are whole by these bytes. An error ends the watch: `visit`'s;
  // what an ERROR event says, kOutOfRange if that is 410; kDataLoss for what is no event. `type` is
  // ADDED, MODIFIED, DELETED or BOOKMARK.
  base::Status Add(std::string_view bytes, Visit visit);

 private:
  static base::Status VisitFrame(std::string_view frame, Visit visit);

  const size_t max_frame_bytes_;
  std::string buffer_;
};

}  // namespace strata::kube
