// A request that has passed the filter chain, and the way to answer it.
#pragma once

#include <absl/functional/function_ref.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/transport/http/message.h"
#include "server/api/error.h"
#include "server/api/list_options.h"
#include "server/api/request_info.h"
#include "server/auth/user.h"
#include "server/registry/resource.h"
#include "server/wire/negotiate.h"

namespace strata::endpoints {

class Call {
 public:
  virtual ~Call() = default;

  http::Request request;
  std::shared_ptr<const api::RequestInfo> info;  // never null where a request is served
  // What it is about (Router::Aim). Null: no path of a resource that is known.
  const registry::Resource* resource = nullptr;
  registry::Scope scope = registry::Scope::kObject;
  // What is to be done there: get, list, watch, …. Empty where the method has no verb. An `info` of
  // a list or watch has the namespace, or none for all, and the name of the one object that is
  // meant, if the path or the field selector names one.
  std::string_view verb;
  std::shared_ptr<const auth::UserInfo> user;
  base::MonotonicTime deadline;                     // of the whole request
  std::unique_ptr<const api::ListOptions> options;  // of a list or a watch, once understood
  int searches = 0;                                 // of records that were missing (Seeker)

  // Once, from any thread. Headers that every answer has are added.
  virtual void Respond(http::Response response) = 0;
  // After a response whose body flows, from any thread: its Next has more to say.
  virtual void Resume() {}
  // Runs `task` on the connection's thread, where answering is cheapest.
  virtual void Post(std::function<void()> task) = 0;

  // Runs `task` here and now, on any thread; what libraries throw in it is answered with 500 and
  // ends this request alone.
  virtual void Guard(absl::FunctionRef<void()> task) { task(); }

  enum class End { kTimeIsOver, kClientIsGone };
  // For who waits for work: calls `ended` on the connection's thread when nobody needs the answer
  // any more, at most once for each End, unless somebody else has asked for that since. It isn't
  // answered by that, and another thread may be answering it then: who waits knows which was first.
  // On the connection's thread, before anybody else may answer.
  virtual void OnEnd(const std::function<void(End end)>& /*ended*/) {}

  // A call that waits for a revision which may never come has no place among those that are served,
  // but one of the cheaper ones among those that wait. Both on the connection's thread; false if
  // there is none left, of all or of the user's share.
  virtual bool BeginRevisionWait() { return true; }
  virtual bool EndRevisionWait() { return true; }

  // What the client says of the form it wants. Views into the request.
  wire::Preference preference() const;
  void Fail(const api::Error& error) {
    if (keep_failure) failure = error;
    Respond(api::ToResponse(error, preference()));
  }

  // Ends a call that nobody needs the answer of any more. Where nobody gets one, it is logged and
  // counted all the same, as 499.
  void Abandon(End why) {
    if (why == End::kTimeIsOver) return Fail(api::RequestTimeout());
    http::Response response;
    response.status = 499;
    Respond(std::move(response));
  }

  bool keep_failure = false;          // it is logged
  std::optional<api::Error> failure;  // the one that was answered
};

// Called on the connection's thread; must not block.
using CallHandler = std::function<void(std::shared_ptr<Call>)>;

}  // namespace strata::endpoints
