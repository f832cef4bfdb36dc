#include "server/auth/subject_access_review.h"

#include <utility>

#include "lib/codec/decode_json.h"
#include "lib/codec/encode_json.h"
#include "proto/k8s/authorization_v1.pb.h"
#include "server/auth/review_metrics.h"
#include "server/auth/token_digest.h"

namespace strata::auth {
namespace {

namespace v1 = ::k8s::io::api::authorization::v1;

constexpr codec::TypeMeta kType{"SubjectAccessReview", "authorization.k8s.io/v1"};
// Everything that a review depends on, each part with its length: no two questions share a key.
class KeyBuilder {
 public:
  KeyBuilder() { key_.reserve(256); }
  void Add(std::string_view part) {
    const auto size = static_cast<uint32_t>(part.size());
    key_.append(reinterpret_cast<const char*>(&size), sizeof size);
    key_ += part;
  }
  void Add(const std::vector<std::string>& parts) {
    Add(std::to_string(parts.size()));
    for (const std::string& part : parts) Add(part);
  }
  const std::string& key() const { return key_; }

 private:
  std::string key_;
};

std::string KeyOf(const UserInfo& user, const api::RequestInfo& request, std::string_view name) {
  KeyBuilder key;
  key.Add(user.name);
  key.Add(user.uid);
  key.Add(user.groups);
  key.Add(std::to_string(user.extra.size()));
  for (const auto& [extra, values] : user.extra) {
    key.Add(extra);
    key.Add(values);
  }
  key.Add(request.is_resource ? "r" : "n");
  key.Add(request.verb);
  if (!request.is_resource) {
    key.Add(request.path);
    return key.key();
  }
  for (const std::string_view part :
       {std::string_view(request.api_group), std::string_view(request.api_version),
        std::string_view(request.ns), std::string_view(request.resource),
        std::string_view(request.subresource), name}) {
    key.Add(part);
  }
  return key.key();
}

kube::Request ReviewOf(const UserInfo& user, const api::RequestInfo& request,
                       std::string_view name) {
  v1::SubjectAccessReview review;
  v1::SubjectAccessReviewSpec& spec = *review.mutable_spec();
  if (request.is_resource) {
    v1::ResourceAttributes& attributes = *spec.mutable_resource_attributes();
    attributes.set_namespace_(request.ns);
    attributes.set_verb(request.verb);
    attributes.set_group(request.api_group);
    attributes.set_version(request.api_version);
    attributes.set_resource(request.resource);
    attributes.set_subresource(request.subresource);
    attributes.set_name(std::string(name));
  } else {
    spec.mutable_non_resource_attributes()->set_path(request.path);
    spec.mutable_non_resource_attributes()->set_verb(request.verb);
  }
  spec.set_user(user.name);
  spec.set_uid(user.uid);
  for (const std::string& group : user.groups) spec.add_groups(group);
  for (const auto& [extra, values] : user.extra) {
    auto& to = (*spec.mutable_extra())[extra];
    for (const std::string& value : values) to.add_items(value);
  }
  kube::Request asked;
  asked.method = "POST";
  asked.path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
  asked.body = codec::EncodeJson(review, kType);
  asked.on_behalf_of = user.name;
  asked.traceparent = request.traceparent;
  asked.retry = true;
  return asked;
}

}  // namespace

SubjectAccessReview::SubjectAccessReview(kube::Api& api, const Options& options,
                                         const base::Clock& clock, obs::Metrics& metrics)
    : api_(api),
      options_(options),
      metrics_(metrics),
      key_(RandomKey()),
      cache_(options.cache, clock) {
  AddCacheMetrics(metrics, "subject_access_review", [this] { return cache_.stats(); });
}

std::optional<Decision> SubjectAccessReview::Authorize(const UserInfo& user,
                                                       const api::RequestInfo& request,
                                                       Later later) const {
  // Who may be impersonated is a matter of names, which somebody may be denied.
  if (!options_.all_names_first || !request.is_resource || request.name.empty() ||
      request.verb == "impersonate")
    return Review(user, request, request.name, later);
  // Who couldn't answer the one couldn't answer the other.
  const auto settles = [](const Decision& all) {
    return all.verdict == Decision::Verdict::kAllow || !all.error.empty();
  };
  const auto go_on_later = [&]() -> Done {
    return [this, &user, &request, settles, done = later()](Decision all) mutable {
      if (settles(all)) return done(std::move(all));
      auto one = Review(user, request, request.name, [&done] { return std::move(done); });
      if (one) done(*std::move(one));
    };
  };
  auto all = Review(user, request, "", go_on_later);
  if (!all || settles(*all)) return all;
  return Review(user, request, request.name, later);
}

std::optional<Decision> SubjectAccessReview::Review(const UserInfo& user,
                                                    const api::RequestInfo& request,
                                                    std::string_view name, Later later) const {
  const auto decision_of = [](const Cache::Result& result) -> Decision {
    if (result.ok()) return **result;
    return {Decision::Verdict::kNoOpinion, "", std::string(base::Message(result.status()))};
  };
  // By its digest: what a requester chooses, up to its head's size, must not fill the cache.
  const TokenDigest digest = DigestOf(key_, KeyOf(user, request, name));
  const auto kept = cache_.Get(
      {reinterpret_cast<const char*>(digest.data()), digest.size()}, user.name,
      [&](const Cache::Answered& answered) { Ask(ReviewOf(user, request, name), answered); },
      [&]() -> Cache::Done {
        return [done = later(), decision_of](const Cache::Result& result) {
          done(decision_of(result));
        };
      });
  if (!kept) return std::nullopt;
  return decision_of(*kept);
}

void SubjectAccessReview::Ask(kube::Request request, const Cache::Answered& answered) const {
  request.timeout = options_.timeout;
  const ReviewTimer timer(metrics_, "apiserver_delegated_authz_request_total",
                          "apiserver_delegated_authz_request_duration_seconds");
  api_.Send(std::move(request),
            [this, answered, timer](const base::StatusOr<kube::Response>& response) {
              timer.Observe(response);
              if (!response.ok()) return answered(response.status(), {});
              auto decision = Read(*response);
              std::chrono::nanoseconds keep{0};
              if (decision.ok()) {
                keep = (*decision)->verdict == Decision::Verdict::kAllow ? options_.allowed_ttl
                                                                         : options_.denied_ttl;
              }
              answered(std::move(decision), keep);
            });
}

base::StatusOr<std::shared_ptr<const Decision>> SubjectAccessReview::Read(
    const kube::Response& response) {
  STRATA_RETURN_IF_ERROR(kube::ErrorOf(response));
  v1::SubjectAccessReview review;
  const auto type = codec::DecodeJson(response.body, review);
  if (!type.ok() || type->kind != kType.kind || !review.has_status()) {
    return base::DataLossError("kube-apiserver answered a SubjectAccessReview with something else");
  }
  const v1::SubjectAccessReviewStatus& status = review.status();
  if (status.denied() && status.allowed()) {
    return base::DataLossError(
        "webhook subject access review returned both allow and deny response");
  }
  auto decision = std::make_shared<Decision>();
  decision->reason = status.reason();
  if (status.allowed()) decision->verdict = Decision::Verdict::kAllow;
  if (status.denied()) decision->verdict = Decision::Verdict::kDeny;
  return std::shared_ptr<const Decision>(std::move(decision));
}

}  // namespace strata::auth
