#include "server/serving/filters/audit.h"

#include <utility>

#include "server/serving/served_call.h"

namespace strata::serving::filters {
namespace {

void Describe(ServedCall& call, const auth::UserInfo* asks, const auth::UserInfo* impersonated) {
  call.audit.description = std::make_shared<const std::string>(
      audit::Describe(call.request, *call.info, asks, impersonated));
}

bool IsAudited(const ServedCall& call) {
  return call.audit.verdict.level != audit::Level::kNone;
}

}  // namespace

Step Audit::Apply(ServedCall& call) {
  if (log_ == nullptr) return Step::kGoOn;
  Trail& trail = call.audit;
  trail.verdict = log_->policy().Evaluate(*call.user, *call.info);
  if (!IsAudited(call)) return Step::kGoOn;
  call.keep_failure = true;
  trail.received = clock_.WallNow();
  trail.description = audit::RecallDescription(call.request, call.info, call.user);
  Write(call, audit::Stage::kRequestReceived, 0);
  return Step::kGoOn;
}

void Audit::Begin(ServedCall& call, http::Response& response) {
  // Of a whole answer everything has been said before its head.
  if (IsAudited(call) && response.flow != nullptr) Starts(call, response.status);
}

void Audit::Finish(ServedCall& call, const Outcome& outcome) {
  if (!IsAudited(call)) return;
  Starts(call, outcome.status);
  Write(call, audit::Stage::kResponseComplete, outcome.status);
}

void Audit::Starts(ServedCall& call, int code) const {
  if (!api::IsLongRunning(*call.info) || std::exchange(call.audit.started, true)) return;
  Write(call, audit::Stage::kResponseStarted, code);
}

void Audit::FailedAuthentication(ServedCall& call) const {
  if (log_ == nullptr) return;
  call.audit.verdict = log_->policy().Evaluate({}, *call.info);
  call.audit.received = clock_.WallNow();
  Describe(call, nullptr, nullptr);
  const bool bearer = call.request.headers.Find("authorization") != nullptr;
  call.failure = api::Unauthorized();
  call.failure->message =
      std::string("Authentication failed, attempted: ") + (bearer ? "bearer" : "x509");
  Write(call, audit::Stage::kResponseStarted, call.failure->code);
  call.audit.verdict = {};
}

void Audit::Impersonates(ServedCall& call) {
  if (IsAudited(call)) Describe(call, call.requester.get(), call.user.get());
}

void Audit::Decided(ServedCall& call, auth::Decision decision) {
  if (!IsAudited(call)) return;
  call.audit.decision = decision.verdict == auth::Decision::Verdict::kAllow ? "allow" : "forbid";
  call.audit.reason = std::move(decision.reason);
}

void Audit::Write(const ServedCall& call, audit::Stage stage, int code) const {
  const Trail& trail = call.audit;
  if (!trail.verdict.Logs(stage)) return;
  audit::Event event;
  event.level = trail.verdict.level;
  event.stage = stage;
  event.audit_id = call.audit_id;
  event.description = *trail.description;
  event.code = code;
  event.failure = call.failure ? &*call.failure : nullptr;
  event.received = trail.received;
  // processAuditEvent.
  event.now = stage == audit::Stage::kRequestReceived ? trail.received : clock_.WallNow();
  event.decision = trail.decision;
  event.reason = trail.reason;
  log_->Write(event);
}

}  // namespace strata::serving::filters
