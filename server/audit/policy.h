// --audit-policy-file: which requests are logged (k8s.io/apiserver pkg/audit/policy).
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/base/status.h"
#include "proto/k8s/audit_v1.pb.h"
#include "server/api/request_info.h"
#include "server/auth/user.h"

namespace strata::audit {

enum class Level { kNone, kMetadata, kRequest, kRequestResponse };
std::string_view NameOf(Level level);

enum class Stage : uint8_t { kRequestReceived, kResponseStarted, kResponseComplete, kPanic };
std::string_view NameOf(Stage stage);

// Immutable.
class Policy {
 public:
  // YAML or JSON, audit.k8s.io/v1. An error names the field. Unknown fields are errors too: a rule
  // that isn't understood would log too much or too little.
  static base::StatusOr<Policy> Parse(std::string_view text);

  struct Verdict {
    Level level = Level::kNone;
    uint8_t omitted = 0;  // bits of stages
    bool Logs(Stage stage) const {
      return level != Level::kNone && (omitted >> static_cast<int>(stage) & 1) == 0;
    }
  };
  // By the first rule that matches; none: not logged.
  Verdict Evaluate(const auth::UserInfo& user, const api::RequestInfo& request) const;

 private:
  k8s::io::apiserver::pkg::apis::audit::v1::Policy policy_;
};

}  // namespace strata::audit
