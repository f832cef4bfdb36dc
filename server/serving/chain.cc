#include "server/serving/chain.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "server/api/duration.h"
#include "server/api/error.h"
#include "server/api/headers.h"

namespace strata::serving {
namespace {

// Who keeps the cluster running, and what tells whether it runs, isn't turned away (maxinflight.go;
// k8s.io/apiserver pkg/apis/flowcontrol/bootstrap: flow schemas `exempt` and `probes`). The
// aggregator reads OpenAPI documents as a user of its own (kube-aggregator
// pkg/controllers/openapi/aggregator).
Shares::Claim ClaimOf(const auth::UserInfo& user, const api::RequestInfo& info) {
  const auto& groups = user.groups;
  const bool exempt = user.name == "system:aggregator" ||
                      std::find(groups.begin(), groups.end(), auth::kMasters) != groups.end() ||
                      (!info.is_resource && (info.path == "/healthz" || info.path == "/livez" ||
                                             info.path == "/readyz"));
  return exempt ? Shares::Claim::kExempt : Shares::Claim::kFair;
}

// What an answer has that doesn't say otherwise, errors too (k8s.io/apiserver
// pkg/endpoints/filters/cachecontrol.go, but for what openshift-apiserver
// pkg/cmd/openshift-apiserver/openshiftapiserver withCacheControl doesn't leave out).
std::string_view CacheControlOf(std::string_view path) {
  for (const std::string_view prefix :
       {"/openapi/", "/swagger-2.0.0.json", "/swagger-2.0.0.pb-v1", "/swagger.json", "/swaggerapi"})
    if (path.starts_with(prefix)) return "no-cache, private";
  return "no-store";
}

}  // namespace

// One request from its arrival to its answer. Counted as in flight until its last owner lets go.
class Chain::ServedCall final : public endpoints::Call,
                                public std::enable_shared_from_this<ServedCall> {
 public:
  ServedCall(Chain& chain, http::Request r, std::unique_ptr<http::Exchange> exchange)
      : chain_(chain), exchange_(std::move(exchange)), started_(chain.clock_.Now()) {
    request = std::move(r);
    info = chain.no_info_;
    audit_id_ = api::AuditId(request.headers);
  }

  ~ServedCall() override { CancelEnd(); }

  // False if too many are in flight already, or too many of the user's.
  bool TakePlace() {
    place_ = chain_.in_flight_.Take(user->name, ClaimOf(*user, *info));
    return place_.has_value();
  }

  bool BeginRevisionWait() override {
    waiting_place_ = chain_.revision_waiters_.Take(user->name, ClaimOf(*user, *info));
    if (waiting_place_) place_.reset();
    return waiting_place_.has_value();
  }

  bool EndRevisionWait() override {
    if (!waiting_place_) return true;
    waiting_place_.reset();
    return TakePlace();
  }

  void OnEnd(const std::function<void(End)>& ended) override {
    end_alarm_ = chain_.deadlines_.Set(deadline, [weak = weak_from_this(), ended] {
      if (const auto call = weak.lock()) call->Post([ended] { ended(End::kTimeIsOver); });
    });
    exchange_->OnGone([ended] { ended(End::kClientIsGone); });
  }

  void Respond(http::Response response) override {
    if (!exchange_->Admit(response)) return Fail(api::TooManyUnreadAnswers());
    response.close_connection = response.close_connection || close;
    CancelEnd();
    const size_t bytes = response.body == nullptr ? 0 : response.body->size();
    const auto took = chain_.clock_.Now() - started_;
    chain_.metrics_.Finished(resource, response.status, took, bytes);
    Log(response.status, took);
    if (verdict_.level != audit::Level::kNone)
      Audit(audit::Stage::kResponseComplete, response.status);
    AddHeaders(response);
    exchange_->Respond(std::move(response));
  }

  void Post(std::function<void()> task) override {
    exchange_->Post([self = shared_from_this(), task = std::move(task)] { self->Guard(task); });
  }

  void Guard(absl::FunctionRef<void()> task) override { chain_.Guarded(shared_from_this(), task); }

  // Authenticators and authorizers may answer on a thread of theirs.
  bool IsItsThread() const { return std::this_thread::get_id() == thread_; }

  // What is waited for, by number; all on the connection's thread.
  int BeginWait() { return waiting_ = ++waits_; }
  bool IsWaiting(int wait) const { return waiting_ == wait; }
  void SetAlarm(int wait) {
    const auto expire = [weak = weak_from_this(), wait] {
      const auto call = weak.lock();
      if (call == nullptr) return;
      call->Post([raw = call.get(), wait] {
        raw->alarm_.reset();
        if (raw->EndWait(wait)) raw->Fail(api::RequestTimeout());
      });
    };
    alarm_ = chain_.deadlines_.Set(deadline, expire);
  }
  base::MonotonicTime started() const { return started_; }
  // False if it ended before.
  bool EndWait(int wait) {
    if (!IsWaiting(wait)) return false;
    waiting_ = 0;
    if (alarm_) chain_.deadlines_.Cancel(*alarm_);
    alarm_.reset();
    return true;
  }

  // The request is its user's from here on: whether and how much of it is logged is decided.
  void BeginAudit() {
    if (chain_.audit_ == nullptr) return;
    verdict_ = chain_.audit_->policy().Evaluate(*user, *info);
    if (verdict_.level == audit::Level::kNone) return;
    keep_failure = true;
    received_ = chain_.clock_.WallNow();
    description_ = audit::RecallDescription(request, info, user);
    Audit(audit::Stage::kRequestReceived, 0);
  }

  // From here on the request is `impersonated`'s; lines name both.
  void ActAs(std::shared_ptr<const auth::UserInfo> impersonated) {
    requester_ = std::exchange(user, std::move(impersonated));
    if (verdict_.level != audit::Level::kNone) Describe(requester_.get(), user.get());
  }

  // audit.go WithFailedAuthentication: one event, of nobody.
  void AuditFailedAuthentication() {
    if (chain_.audit_ == nullptr) return;
    verdict_ = chain_.audit_->policy().Evaluate({}, *info);
    received_ = chain_.clock_.WallNow();
    Describe(nullptr, nullptr);
    const bool bearer = request.headers.Find("authorization") != nullptr;
    failure = api::Unauthorized();
    failure->message =
        std::string("Authentication failed, attempted: ") + (bearer ? "bearer" : "x509");
    Audit(audit::Stage::kResponseStarted, failure->code);
    verdict_ = {};
  }

  void Decided(auth::Decision decision) {
    if (verdict_.level == audit::Level::kNone) return;
    decision_ = decision.verdict == auth::Decision::Verdict::kAllow ? "allow" : "forbid";
    reason_ = std::move(decision.reason);
  }

  std::vector<std::string> warnings;  // of authentication
  bool close = false;                 // the connection, after this answer

 private:
  void CancelEnd() {
    if (end_alarm_) chain_.deadlines_.Cancel(*end_alarm_);
    end_alarm_.reset();
  }

  // Those that every answer has come first. Takes the audit id: nothing is said of the request
  // after it.
  void AddHeaders(http::Response& response) {
    const size_t own = response.headers.size();
    response.headers.Reserve(own + warnings.size() + 2);
    if (!warnings.empty()) {
      api::AddWarnings(warnings, response.headers);
      const auto first = response.headers.begin();
      std::rotate(first, first + static_cast<ptrdiff_t>(own), response.headers.end());
    }
    if (response.headers.Find("cache-control") == nullptr)
      response.headers.AddFirst("cache-control", std::string(CacheControlOf(info->path)));
    response.headers.AddFirst("audit-id", std::move(audit_id_));
  }

  // klog's access log, at -v=3 (httplog.go Log), and who asks, by the audit log's names. What a
  // request says may hold anything; the logger quotes and cuts it.
  void Log(int status, std::chrono::nanoseconds took) const {
    if (!chain_.log_.Shows(3)) return;
    const std::string* agent = request.headers.Find("user-agent");
    const std::string* trace = request.headers.Find("traceparent");
    const auto name = [](const auth::UserInfo* one) {
      return one == nullptr ? std::string_view() : std::string_view(one->name);
    };
    const auth::UserInfo* asks = requester_ == nullptr ? user.get() : requester_.get();
    chain_.log_.Verbose(
        3, "HTTP",
        {{"verb", request.method},
         {"URI", request.target},
         {"latency_us", std::chrono::duration_cast<std::chrono::microseconds>(took).count()},
         {"userAgent", agent == nullptr ? std::string_view() : std::string_view(*agent)},
         {"audit-ID", audit_id_},
         {"traceID", trace == nullptr ? std::string_view() : api::TraceId(*trace)},
         {"srcIP",
          request.peer == nullptr ? std::string_view() : std::string_view(request.peer->address)},
         {"user", name(asks)},
         {"impersonatedUser", name(requester_ == nullptr ? nullptr : user.get())},
         {"resp", status}});
  }

  void Describe(const auth::UserInfo* asks, const auth::UserInfo* impersonated) {
    description_ =
        std::make_shared<const std::string>(audit::Describe(request, *info, asks, impersonated));
  }

  void Audit(audit::Stage stage, int code) const {
    if (!verdict_.Logs(stage)) return;
    audit::Event event;
    event.level = verdict_.level;
    event.stage = stage;
    event.audit_id = audit_id_;
    event.description = *description_;
    event.code = code;
    event.failure = failure ? &*failure : nullptr;
    event.received = received_;
    // audit.go processAuditEvent.
    event.now = stage == audit::Stage::kRequestReceived ? received_ : chain_.clock_.WallNow();
    event.decision = decision_;
    event.reason = reason_;
    chain_.audit_->Write(event);
  }

  Chain& chain_;
  const std::unique_ptr<http::Exchange> exchange_;
  const base::MonotonicTime started_;
  const std::thread::id thread_ = std::this_thread::get_id();  // the connection's
  std::string audit_id_;
  std::optional<Shares::Place> place_, waiting_place_;
  std::optional<Deadlines::Alarm> end_alarm_;
  int waits_ = 0, waiting_ = 0;  // 0: for nothing
  std::optional<Deadlines::Alarm> alarm_;
  audit::Policy::Verdict verdict_;
  std::shared_ptr<const auth::UserInfo> requester_;  // who impersonates the user; null: nobody
  base::WallTime received_;
  std::shared_ptr<const std::string> description_;  // for the audit log
  std::string_view decision_;
  std::string reason_;
};

Chain::Chain(const Options& options, const auth::Authenticator& authenticator,
             const auth::Authorizer& authorizer, const endpoints::Router& router,
             const base::Clock& clock, const obs::Logger& log, obs::Metrics& metrics,
             audit::Log* audit)
    : options_(options),
      authenticator_(authenticator),
      authorizer_(authorizer),
      router_(router),
      clock_(clock),
      log_(log),
      audit_(audit),
      metrics_(router.groups(), metrics),
      in_flight_(options.max_requests_inflight),
      revision_waiters_(options.max_revision_waiters),
      deadlines_(clock) {
  metrics.AddGaugeFunction("apiserver_current_inflight_requests", "Requests that are being served.",
                           {{"request_kind", "readOnly"}},
                           [this] { return static_cast<double>(in_flight()); });
  metrics.AddGaugeFunction("strata_revision_waiters",
                           "Requests that wait for a resourceVersion which hasn't come.", {},
                           [this] { return static_cast<double>(revision_waiters_.taken()); });
}

void Chain::Serve(http::Request request, std::unique_ptr<http::Exchange> exchange) {
  const auto call = std::make_shared<ServedCall>(*this, std::move(request), std::move(exchange));
  Guarded(call, [&] { Parse(call); });
}

template <typename Result, typename Ask, typename Then>
void Chain::Await(const std::shared_ptr<ServedCall>& call, const Ask& ask, Then then) {
  int wait = 0;
  const auto later = [&]() -> std::function<void(Result)> {
    wait = call->BeginWait();
    return [call, wait, then](Result result) {
      if (call->IsItsThread()) {
        if (call->EndWait(wait)) then(call, std::move(result));
        return;
      }
      call->Post([call, wait, then, result = std::move(result)] {
        if (call->EndWait(wait)) then(call, result);
      });
    };
  };
  if (std::optional<Result> now = ask(later)) return then(call, *std::move(now));
  if (call->IsWaiting(wait)) call->SetAlarm(wait);
}

void Chain::Guarded(const std::shared_ptr<ServedCall>& call, absl::FunctionRef<void()> step) {
  // Ours throws nothing; what libraries throw at a request ends that request alone.
  try {
    step();
  } catch (const std::exception& error) {
    log_.Error("A request ended with an exception",
               {{"err", std::string_view(error.what())}, {"URI", call->request.target}});
    metrics_.Terminated(call->resource, 500);
    call->Fail(api::Panic());
  }
}

// filters/goaway.go: what many replicas serve is spread anew, a connection at a time.
bool Chain::DrawsGoaway(const http::Request& request) const {
  if (options_.goaway_chance <= 0 || request.version != http::Version::kHttp2) return false;
  thread_local std::minstd_rand random{std::random_device()()};
  return std::uniform_real_distribution<double>()(random) < options_.goaway_chance;
}

void Chain::Parse(const std::shared_ptr<ServedCall>& call) {
  call->close = DrawsGoaway(call->request);
  if (auto info = api::RecallRequestInfo(call->request.method, call->request.target)) {
    call->info = std::move(info);
    call->resource = router_.ResourceOf(*call->info);
  } else {
    call->close = true;
    return call->Fail({400, "", "400 Bad Request", {}, api::Error::Form::kText});
  }
  const std::string* trace = call->request.headers.Find("traceparent");
  if (trace != nullptr && !api::TraceId(*trace).empty()) {
    auto traced = std::make_shared<api::RequestInfo>(*call->info);
    traced->traceparent = *trace;
    call->info = std::move(traced);
  }
  if (!call->info->problem.empty()) {
    return call->Fail(api::InternalErrorText(
        call->request.target, "failed to create RequestInfo: " + call->info->problem));
  }
  if (SetDeadline(*call)) Authenticate(call);
}

bool Chain::SetDeadline(ServedCall& call) const {
  std::chrono::nanoseconds timeout = options_.request_timeout;
  if (const std::string_view asked = call.info->query.Get("timeout"); !asked.empty()) {
    const auto parsed = api::ParseDuration(asked);
    if (!parsed.ok()) {
      call.Fail(api::BadRequest("invalid timeout specified in the request URL - " +
                                std::string(base::Message(parsed.status()))));
      return false;
    }
    if (parsed->count() != 0) timeout = std::min(timeout, *parsed);
  }
  call.deadline = call.started() + timeout;
  return true;
}

void Chain::Authenticate(const std::shared_ptr<ServedCall>& call) {
  Await<auth::Authentication>(
      call, [&](const auto& later) { return authenticator_.Authenticate(call->request, later); },
      [this](const std::shared_ptr<ServedCall>& c, auth::Authentication result) {
        Authenticated(c, std::move(result));
      });
}

namespace {

// authentication.go UnauthenticatedHTTP2DOSMitigation: an HTTP/2 connection isn't kept for nobody.
// A proxy's, on which others' requests come too, is.
bool IsStrangersHttp2(const http::Request& request) {
  return request.version == http::Version::kHttp2 &&
         (request.peer == nullptr || request.peer->certificate_chain.empty());
}

}  // namespace

void Chain::Authenticated(const std::shared_ptr<ServedCall>& call, auth::Authentication result) {
  const bool known = result.result == auth::Authentication::Result::kUser;
  metrics_.AuthenticationResult(known);
  call->warnings = std::move(result.warnings);
  if (!known) {
    if (!result.error.empty())
      log_.Verbose(2, "Unable to authenticate the request", {{"err", result.error}});
    call->AuditFailedAuthentication();
    if (call->request.version == http::Version::kHttp2) call->close = true;
    return call->Fail(api::Unauthorized());
  }
  call->user = std::move(result.user);
  if (call->user->name == auth::kAnonymous && IsStrangersHttp2(call->request)) call->close = true;
  call->BeginAudit();
  auto wanted = auth::FindImpersonation(call->request.headers);
  auth::StripCredentials(call->request.headers);
  if (!wanted.ok()) {
    return call->Fail(
        api::InternalErrorText(call->request.target, std::string(base::Message(wanted.status()))));
  }
  std::optional<auth::Impersonation> impersonation = *std::move(wanted);
  if (!impersonation) return Authorize(call);
  Impersonate(call, std::make_shared<const auth::Impersonation>(*std::move(impersonation)), 0);
}

void Chain::Impersonate(const std::shared_ptr<ServedCall>& call,
                        const std::shared_ptr<const auth::Impersonation>& wanted, size_t index) {
  if (index == wanted->needed.size()) {
    log_.Verbose(3, "Impersonation",
                 {{"user", call->user->name}, {"impersonated", wanted->user->name}});
    call->ActAs(wanted->user);
    return Authorize(call);
  }
  Await<auth::Decision>(
      call,
      [&](const auto& later) {
        return authorizer_.Authorize(*call->user, wanted->needed[index], later);
      },
      [this, wanted, index](const std::shared_ptr<ServedCall>& c, const auth::Decision& decision) {
        if (decision.verdict == auth::Decision::Verdict::kAllow)
          return Impersonate(c, wanted, index + 1);
        c->Fail(api::Forbidden(c->user->name, wanted->needed[index], decision.reason));
      });
}

void Chain::Authorize(const std::shared_ptr<ServedCall>& call) {
  if (!call->TakePlace()) {
    metrics_.Terminated(call->resource, 429);
    return call->Fail(api::TooManyRequests());
  }
  Await<auth::Decision>(
      call,
      [&](const auto& later) { return authorizer_.Authorize(*call->user, *call->info, later); },
      [this](const std::shared_ptr<ServedCall>& c, auth::Decision decision) {
        Authorized(c, std::move(decision));
      });
}

void Chain::Authorized(const std::shared_ptr<ServedCall>& call, auth::Decision decision) {
  const bool allowed = decision.verdict == auth::Decision::Verdict::kAllow;
  metrics_.AuthorizationResult(allowed);
  if (allowed) {
    call->Decided(std::move(decision));
    return Dispatch(call);
  }
  call->Decided(decision);
  if (!decision.error.empty()) {
    log_.Warning("Could not tell whether a request is allowed",
                 {{"err", decision.error}, {"URI", call->request.target}});
    return call->Fail(api::InternalErrorText(call->request.target, decision.error));
  }
  call->Fail(api::Forbidden(call->user->name, *call->info, decision.reason));
}

void Chain::Dispatch(const std::shared_ptr<ServedCall>& call) {
  if (clock_.Now() >= call->deadline) return call->Fail(api::RequestTimeout());
  router_.Route(call);
}

}  // namespace strata::serving
