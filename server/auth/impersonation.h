// Requests in another user's name (k8s.io/apiserver pkg/endpoints/filters/impersonation).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/transport/http/message.h"
#include "server/api/request_info.h"
#include "server/auth/user.h"

namespace strata::auth {

struct Impersonation {
  std::shared_ptr<const UserInfo> user;  // whose name is wanted
  // What the requester must be allowed to do, all of it: verb `impersonate`, in the order of
  // upstream's questions.
  std::vector<api::RequestInfo> needed;
};

// What the Impersonate-* headers ask for; nothing if there are none. An error: groups, a UID or
// extras without a user.
base::StatusOr<std::optional<Impersonation>> FindImpersonation(const http::Headers& headers);

}  // namespace strata::auth
