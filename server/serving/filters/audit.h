// Writes the audit log: whether and how much of a request is decided when its user is known
// (k8s.io/apiserver pkg/endpoints/filters/audit.go).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "lib/base/clock.h"
#include "server/audit/log.h"
#include "server/auth/authorizer.h"
#include "server/serving/filter.h"

namespace strata::serving::filters {

class Audit final : public Filter {
 public:
  // What is kept of a request.
  struct Trail {
    audit::Policy::Verdict verdict;
    base::WallTime received;
    std::shared_ptr<const std::string> description;  // as the audit log has it
    std::string_view decision;
    std::string reason;
    bool started = false;  // stage ResponseStarted has been said
  };

  // Without a log nothing is audited.
  Audit(audit::Log* log, const base::Clock& clock) : log_(log), clock_(clock) {}
  Step Apply(ServedCall& call) override;
  void Begin(ServedCall& call, http::Response& response) override;
  void Finish(ServedCall& call, const Outcome& outcome) override;

  // One event, of nobody (WithFailedAuthenticationAudit).
  void FailedAuthentication(ServedCall& call) const;
  // From here on the request is another user's; lines name both.
  static void Impersonates(ServedCall& call);
  static void Decided(ServedCall& call, auth::Decision decision);

 private:
  // Of what may go on for ever the beginning of the answer is said, whatever it is.
  void Starts(ServedCall& call, int code) const;
  void Write(const ServedCall& call, audit::Stage stage, int code) const;

  audit::Log* const log_;
  const base::Clock& clock_;
};

}  // namespace strata::serving::filters
