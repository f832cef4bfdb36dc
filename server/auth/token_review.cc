#include "server/auth/token_review.h"

#include <algorithm>
#include <utility>

#include "lib/codec/decode_json.h"
#include "lib/codec/encode_json.h"
#include "proto/k8s/authentication_v1.pb.h"
#include "server/api/headers.h"
#include "server/auth/review_metrics.h"
#include "server/auth/token_digest.h"

namespace strata::auth {
namespace {

namespace v1 = ::k8s::io::api::authentication::v1;

constexpr codec::TypeMeta kType{"TokenReview", "authentication.k8s.io/v1"};

std::shared_ptr<const UserInfo> ToUser(const v1::UserInfo& from) {
  auto user = std::make_shared<UserInfo>();
  user->name = from.username();
  user->uid = from.uid();
  user->groups.assign(from.groups().begin(), from.groups().end());
  for (const auto& [name, value] : from.extra())
    user->extra[name].assign(value.items().begin(), value.items().end());
  return user;
}

// Who somebody is isn't known yet: tokens that nobody issued come from somewhere, too.
std::string_view HostOf(const http::Request& request) {
  return request.peer == nullptr ? std::string_view() : request.peer->host();
}

}  // namespace

TokenReview::TokenReview(kube::Api& api, const Options& options, const base::Clock& clock,
                         obs::Metrics& metrics)
    : api_(api),
      options_(options),
      metrics_(metrics),
      key_(RandomKey()),
      cache_(options.cache, clock) {
  AddCacheMetrics(metrics, "token_review", [this] { return cache_.stats(); });
  AddTokenCacheMetrics(metrics, [this] { return cache_.stats(); });
}

std::optional<Authentication> TokenReview::Authenticate(const http::Request& request,
                                                        Later later) const {
  BearerToken bearer = FindBearerToken(request.headers);
  if (bearer.token.empty()) {
    Authentication none;
    if (!bearer.warning.empty()) none.warnings.push_back(std::move(bearer.warning));
    return none;
  }
  const TokenDigest digest = DigestOf(key_, bearer.token);
  const std::string_view key(reinterpret_cast<const char*>(digest.data()), digest.size());
  const auto kept = cache_.Get(
      key, HostOf(request),
      [&](const Cache::Answered& answered) { Ask(request, bearer.token, answered); },
      [&]() -> Cache::Done {
        return [done = later()](const Cache::Result& answer) { done(ToResult(answer)); };
      });
  if (!kept) return std::nullopt;
  return ToResult(*kept);
}

Authentication TokenReview::ToResult(const Cache::Result& result) {
  const auto error = [](std::string text) -> Authentication {
    return {Authentication::Result::kError, nullptr, std::move(text), {}};
  };
  if (!result.ok()) return error(std::string(base::Message(result.status())));
  const Answer& answer = **result;
  if (answer.user == nullptr) return error(answer.error);
  return {Authentication::Result::kUser, answer.user, "", {}};
}

void TokenReview::Ask(const http::Request& from, std::string_view token,
                      const Cache::Answered& answered) const {
  v1::TokenReview review;
  review.mutable_spec()->set_token(std::string(token));
  for (const std::string& audience : options_.audiences)
    review.mutable_spec()->add_audiences(audience);
  kube::Request request;
  request.method = "POST";
  request.path = "/apis/authentication.k8s.io/v1/tokenreviews";
  request.body = codec::EncodeJson(review, kType);
  request.on_behalf_of = HostOf(from);
  request.traceparent = api::TraceParent(from.headers);
  request.timeout = options_.timeout;
  request.retry = true;
  const ReviewTimer timer(metrics_, "apiserver_delegated_authn_request_total",
                          "apiserver_delegated_authn_request_duration_seconds");
  api_.Send(std::move(request),
            [this, answered, timer](const base::StatusOr<kube::Response>& response) {
              timer.Observe(response);
              if (!response.ok()) return answered(response.status(), {});
              auto answer = Read(*response);
              const auto keep = answer.ok() ? options_.ttl : std::chrono::nanoseconds(0);
              answered(std::move(answer), keep);
            });
}

base::StatusOr<std::shared_ptr<const TokenReview::Answer>> TokenReview::Read(
    const kube::Response& response) const {
  STRATA_RETURN_IF_ERROR(kube::ErrorOf(response));
  v1::TokenReview review;
  const auto type = codec::DecodeJson(response.body, review);
  if (!type.ok() || type->kind != kType.kind || !review.has_status())
    return base::DataLossError("kube-apiserver answered a TokenReview with something else");
  const v1::TokenReviewStatus& status = review.status();
  auto answer = std::make_shared<Answer>();
  if (!status.authenticated()) {
    // webhook.go: that something went wrong is no verdict on the token, and isn't kept.
    if (!status.error().empty()) return base::UnauthenticatedError(status.error());
    answer->error = "invalid bearer token";
    return std::shared_ptr<const Answer>(std::move(answer));
  }
  // One that knows nothing of audiences answers none: its own are meant, which aren't ours.
  const auto& wanted = options_.audiences;
  const bool for_us =
      wanted.empty() ||
      std::any_of(status.audiences().begin(), status.audiences().end(),
                  [&](const std::string& one) {
                    return std::find(wanted.begin(), wanted.end(), one) != wanted.end();
                  });
  if (status.user().username().empty()) {
    return base::DataLossError("kube-apiserver authenticated a token without telling its user");
  }
  if (for_us) {
    answer->user = ToUser(status.user());
  } else {
    answer->error = "invalid bearer token";
  }
  return std::shared_ptr<const Answer>(std::move(answer));
}

}  // namespace strata::auth
