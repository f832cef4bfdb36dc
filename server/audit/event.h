// What is logged of a request: one line of JSON for each stage (k8s.io/apiserver
// pkg/apis/audit/v1 Event).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "lib/base/clock.h"
#include "lib/transport/http/message.h"
#include "server/api/error.h"
#include "server/api/request_info.h"
#include "server/audit/policy.h"
#include "server/auth/user.h"

namespace strata::audit {

// The members from requestURI to objectRef: what every line of a request says of it, made once.
// `impersonated` may be null. What a request chose is quoted, and cut, with "...TRUNCATED" behind
// it, where a text takes more than 4 KiB in the log, or a list more than 8.
std::string Describe(const http::Request& request, const api::RequestInfo& info,
                     const auth::UserInfo* user, const auth::UserInfo* impersonated);

// The same of a request in nobody else's name, remembered: a client asks for the same again. Each
// thread remembers its own, a bounded number of short ones.
std::shared_ptr<const std::string> RecallDescription(
    const http::Request& request, const std::shared_ptr<const api::RequestInfo>& info,
    const std::shared_ptr<const auth::UserInfo>& user);

// Views and pointers are valid as long as the line is being made; pointers may be null.
struct Event {
  Level level = Level::kMetadata;
  Stage stage = Stage::kRequestReceived;
  std::string_view audit_id;
  std::string_view description;         // by Describe
  int code = 0;                         // of the answer; 0: none yet
  const api::Error* failure = nullptr;  // the Status that it is
  base::WallTime received, now;
  std::string_view decision;  // "allow" or "forbid"; empty: not decided
  std::string_view reason;
};

// Ends with a line feed.
void AppendLine(const Event& event, std::string& out);

}  // namespace strata::audit
