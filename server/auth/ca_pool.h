// The CAs that client certificates are verified against, and what was found of those seen lately.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/mutex.h"
#include "lib/base/status.h"
#include "lib/x509/pool.h"
#include "server/auth/token_digest.h"
#include "server/auth/user.h"

namespace strata::auth {

// Thread-safe. Verdicts are kept for ten seconds, for a connection shows one chain with all of its
// requests; new CAs void them.
class CaPool {
 public:
  struct Verdict {
    std::string error;                     // why the chain doesn't verify; empty: it does
    std::shared_ptr<const UserInfo> user;  // CN and organizations; null without a CN
    base::WallTime not_after{};            // the leaf's; 1970 if it can't be parsed
  };

  explicit CaPool(const base::Clock& clock) : clock_(clock) {}

  // Replaces all CAs by those of `pem`. On an error they stay as they are: nothing in it, or one
  // that can't be parsed, as kube-apiserver has it.
  base::Status Set(std::string_view pem) ABSL_LOCKS_EXCLUDED(mu_);

  // Whether `chain` (DER, leaf first, not empty) verifies for client authentication, now, by the
  // rules of kube-apiserver. Null while there are no CAs.
  std::shared_ptr<const Verdict> Verify(const std::vector<std::string>& chain) const
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Known {
    std::shared_ptr<const Verdict> verdict;
    base::MonotonicTime until;
  };
  Verdict Judge(const std::vector<std::string>& der, const x509::Pool& roots) const;

  const base::Clock& clock_;
  mutable base::Mutex mu_;
  std::shared_ptr<const x509::Pool> roots_ ABSL_GUARDED_BY(mu_);
  mutable absl::flat_hash_map<TokenDigest, Known> known_ ABSL_GUARDED_BY(mu_);
};

}  // namespace strata::auth
