// What a watch sends: one frame an event (k8s.io/apiserver pkg/endpoints/handlers/watch.go).
#pragma once

#include <google/protobuf/message.h>

#include <compare>
#include <string>
#include <string_view>

#include "lib/base/clock.h"
#include "server/api/error.h"
#include "server/api/table.h"
#include "server/registry/resource.h"
#include "server/wire/negotiate.h"

namespace strata::objects {

// The form of a watch's objects. Pretty JSON isn't one.
struct WatchForm {
  bool protobuf = false;
  wire::Transform transform = wire::Transform::kNone;
  bool beta = false;
  api::RowObject include = api::RowObject::kMetadata;  // of tables
  bool columns = false;  // a table says them: in the first event of a watch

  friend auto operator<=>(const WatchForm&, const WatchForm&) = default;
};

std::string_view ContentType(const WatchForm& form);

// The object as it stands in a frame.
std::string EncodeObject(const registry::Resource& resource,
                         const google::protobuf::Message& object, const WatchForm& form,
                         base::WallTime now);

// `type` is ADDED, MODIFIED, DELETED or BOOKMARK.
void AppendFrame(std::string_view type, std::string_view object, const WatchForm& form,
                 std::string& out);

// ERROR, which carries a Status in every form.
void AppendErrorFrame(const api::Error& error, const WatchForm& form, std::string& out);

}  // namespace strata::objects
