// Whether a user may do something, by kube-apiserver's SubjectAccessReview API (k8s.io/apiserver
// plugin/pkg/authorizer/webhook).
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "lib/base/clock.h"
#include "lib/obs/metrics.h"
#include "server/auth/authorizer.h"
#include "server/auth/review_cache.h"
#include "server/kube/api.h"

namespace strata::auth {

// Answers are kept for a while, errors aren't. `api` must have ended before this does.
//
// A request for one object is first asked about all names at once, which an empty name means:
// whoever may read every stream of a namespace costs one review for all of them, and not one a
// stream. Only if that isn't allowed is the object itself asked about.
class SubjectAccessReview final : public Authorizer {
 public:
  struct Options {
    std::chrono::nanoseconds allowed_ttl = std::chrono::seconds(10);
    std::chrono::nanoseconds denied_ttl = std::chrono::seconds(10);
    bool all_names_first = true;
    ReviewCacheOptions cache{};
    std::chrono::milliseconds timeout{10'000};
  };
  SubjectAccessReview(kube::Api& api, const Options& options, const base::Clock& clock,
                      obs::Metrics& metrics);

  std::optional<Decision> Authorize(const UserInfo& user, const api::RequestInfo& request,
                                    Later later) const override;

 private:
  using Cache = ReviewCache<Decision>;
  // `name` instead of the request's.
  std::optional<Decision> Review(const UserInfo& user, const api::RequestInfo& request,
                                 std::string_view name, Later later) const;
  void Ask(kube::Request request, const Cache::Answered& answered) const;
  static base::StatusOr<std::shared_ptr<const Decision>> Read(const kube::Response& response);

  kube::Api& api_;
  const Options options_;
  obs::Metrics& metrics_;
  const std::string key_;
  mutable Cache cache_;
};

}  // namespace strata::auth
