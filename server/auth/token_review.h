// Bearer tokens that kube-apiserver knows, by its TokenReview API (k8s.io/apiserver
// plugin/pkg/authenticator/token/webhook).
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/obs/metrics.h"
#include "server/auth/authenticator.h"
#include "server/auth/review_cache.h"
#include "server/kube/api.h"

namespace strata::auth {

// Answers are kept for a while, also that a token is wrong; errors aren't. `api` must have ended
// before this does.
class TokenReview final : public Authenticator {
 public:
  struct Options {
    std::chrono::nanoseconds ttl = std::chrono::seconds(10);
    // A token must be for one of these; empty: kube-apiserver's own.
    std::vector<std::string> audiences{};
    ReviewCacheOptions cache{};
    std::chrono::milliseconds timeout{10'000};
  };
  TokenReview(kube::Api& api, const Options& options, const base::Clock& clock,
              obs::Metrics& metrics);

  std::optional<Authentication> Authenticate(const http::Request& request,
                                             Later later) const override;

 private:
  struct Answer {
    std::shared_ptr<const UserInfo> user;  // null: the token is wrong
    std::string error;
  };
  using Cache = ReviewCache<Answer>;
  static Authentication ToResult(const Cache::Result& result);
  void Ask(const http::Request& request, std::string_view token,
           const Cache::Answered& answered) const;
  base::StatusOr<std::shared_ptr<const Answer>> Read(const kube::Response& response) const;

  kube::Api& api_;
  const Options options_;
  obs::Metrics& metrics_;
  const std::string key_;  // of the digests
  mutable Cache cache_;
};

}  // namespace strata::auth
