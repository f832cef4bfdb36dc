// Service account tokens, verified here by the keys that sign them, as kube-apiserver does
// (k8s.io/kubernetes pkg/serviceaccount/jwt.go, claims.go).
#pragma once

#include <absl/base/thread_annotations.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"
#include "lib/obs/metrics.h"
#include "lib/transport/files/file_watcher.h"
#include "server/auth/authenticator.h"
#include "server/auth/jwt.h"
#include "server/auth/review_cache.h"

namespace strata::auth {

// No opinion on tokens of other issuers. Nobody is asked, so that the account, or the pod that the
// token is bound to, has been deleted is not noticed before the token ends: who needs that leaves
// verification to TokenReview. What was found is kept for up to ten seconds.
class ServiceAccountToken final : public Authenticator {
 public:
  struct Options {
    std::vector<std::string> key_files;  // --service-account-key-file, PEM
    std::vector<std::string> jwks_files;
    std::vector<std::string> issuers;
    std::vector<std::string> audiences;  // a token must be for one of these; empty: the issuers
    ReviewCacheOptions cache{};
  };
  // The files are read now, and again whenever one of them changes.
  static base::StatusOr<std::unique_ptr<ServiceAccountToken>> Open(const Options& options,
                                                                   files::FileWatcher& watcher,
                                                                   const base::Clock& clock,
                                                                   obs::Metrics& metrics);

  std::optional<Authentication> Authenticate(const http::Request& request,
                                             Later later) const override;

 private:
  struct State {
    mutable base::Mutex mu;
    std::shared_ptr<const std::vector<VerifyKey>> keys ABSL_GUARDED_BY(mu);
  };
  struct Verdict {
    Authentication result;
    std::chrono::nanoseconds keep{0};
  };
  ServiceAccountToken(const Options& options, std::shared_ptr<State> state,
                      const base::Clock& clock, obs::Metrics& metrics);
  Verdict Verify(std::string_view token) const;

  const Options options_;
  const std::shared_ptr<State> state_;  // shared with the watcher's loader
  const base::Clock& clock_;
  const std::string key_;  // of the digests
  mutable ReviewCache<Authentication> cache_;
};

}  // namespace strata::auth
