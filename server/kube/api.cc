#include "server/kube/api.h"

#include <curl/curl.h>

#include <future>
#include <memory>
#include <utility>

#include "lib/base/owned.h"

namespace strata::kube {
namespace {

// The Api keeps the request's own deadline; this is for one that doesn't.
constexpr std::chrono::milliseconds kGrace{1'000};

}  // namespace

std::string EscapeForUrl(std::string_view text) {
  if (text.empty()) return "";  // a length of 0 has libcurl look for the text's end
  const base::Owned<char, curl_free> escaped(
      curl_easy_escape(nullptr, text.data(), static_cast<int>(text.size())));
  return escaped == nullptr ? "" : escaped.get();
}

base::StatusOr<Response> SendAndWait(Api& api, Request request) {
  const auto answer = std::make_shared<std::promise<base::StatusOr<Response>>>();
  std::future<base::StatusOr<Response>> future = answer->get_future();
  const auto patience = request.timeout + kGrace;
  api.Send(std::move(request),
           [answer](base::StatusOr<Response> result) { answer->set_value(std::move(result)); });
  if (future.wait_for(patience) != std::future_status::ready)
    return base::DeadlineExceededError("kube-apiserver hasn't answered in time");
  return future.get();
}

}  // namespace strata::kube
