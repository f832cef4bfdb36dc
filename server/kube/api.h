// Requests to kube-apiserver, as those see it who make them.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "lib/base/status.h"

namespace strata::kube {

struct Request {
  std::string method = "GET";
  std::string path;  // with its query: "/api/v1/namespaces?limit=1"
  std::string body{};
  std::string content_type = "application/json";  // of the body
  std::string accept = "application/json";
  // Whom it is made for, who have shares in what may be in flight; empty: the server itself, whose
  // few requests nobody holds up.
  std::string on_behalf_of{};
  std::string traceparent{};                  // of the request that this is made for; empty: none
  std::chrono::milliseconds timeout{10'000};  // of one attempt; of a stream, without a byte
  // Whether another attempt is made, with backoff, where client-go's webhooks make one: the
  // connection was reset, or the answer is 429, 500, 504 or has Retry-After
  // (apiserver pkg/util/webhook/webhook.go DefaultShouldRetry).
  bool retry = false;
};

struct Response {
  int status = 0;
  std::string body;
};

// The error that an answer is: its Status' message, with the code of its HTTP status. OK for 2xx.
base::Status ErrorOf(const Response& response);

// `text` as it can stand in a segment of a path, unless it is `.` or `..`, or in a query: all is
// escaped but what RFC 3986 §2.3 calls unreserved.
std::string EscapeForUrl(std::string_view text);

// Thread-safe. `done` is called once, on a thread that must not be blocked. An error says that
// there was no answer: kUnavailable, kDeadlineExceeded, kResourceExhausted (too many requests in
// flight, or too large an answer), kCancelled at the end.
class Api {
 public:
  using Done = std::function<void(base::StatusOr<Response>)>;
  // The next bytes of an answer with status 200. False: no more of them.
  using Data = std::function<bool(std::string_view bytes)>;

  virtual ~Api() = default;
  virtual void Send(Request request, Done done) = 0;
  // An answer that goes on: its bytes go to `data` as they come, and before them, when it begins,
  // none. `done` gets the status, and the body where that isn't 200.
  virtual void Stream(Request request, Data data, Done done) = 0;
  // Calls `task` on the same thread after `delay`, or never if the end comes first.
  virtual void RunAfter(std::chrono::milliseconds delay, std::function<void()> task) = 0;
  // Ends all requests: whoever waits is answered with kCancelled before it returns. Later ones are
  // refused.
  virtual void Stop() {}
};

// For threads that may wait, and requests that aren't retried: the answer, or kDeadlineExceeded.
base::StatusOr<Response> SendAndWait(Api& api, Request request);

}  // namespace strata::kube
