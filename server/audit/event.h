// What is logged of a request: one line of JSON for each stage (k8s.io/apiserver
// pkg/apis/audit/v1 Event).
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "server/api/error.h"
#include "server/api/request_info.h"
#include "server/audit/policy.h"
#include "server/auth/user.h"
#include "server/http/message.h"

namespace strata::audit {

// Views and pointers are valid as long as the line is being made; pointers may be null.
struct Event {
  Level level = Level::kMetadata;
  Stage stage = Stage::kRequestReceived;
  std::string_view audit_id;
  const http::Request* request = nullptr;
  const api::RequestInfo* info = nullptr;
  const auth::UserInfo* user = nullptr;
  const auth::UserInfo* impersonated = nullptr;
  int code = 0;                         // of the answer; 0: none yet
  const api::Error* failure = nullptr;  // the Status that it is
  base::WallTime received, now;
  std::string_view decision;  // "allow" or "forbid"; empty: not decided
  std::string_view reason;
};

// Ends with a line feed. What a request chose is quoted, and cut where it is longer than 64 KiB.
std::string LineOf(const Event& event);

}  // namespace strata::audit
