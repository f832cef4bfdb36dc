// Bearer tokens from --token-auth-file, kube-apiserver's CSV: token,user,uid[,"group1,group2"].
//
// Tokens are kept, and looked up, as SHA-256 digests: what is in memory can't be used, and
// comparing takes the same time for any wrong token.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/container/flat_hash_map.h>

#include <memory>
#include <string>
#include <string_view>

#include "lib/base/mutex.h"
#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "lib/transport/files/file_watcher.h"
#include "server/auth/authenticator.h"
#include "server/auth/token_digest.h"

namespace strata::auth {

class TokenFile final : public Authenticator {
 public:
  // Reads `path` now, and again whenever it changes: a bad file leaves the tokens as they were.
  static base::StatusOr<std::unique_ptr<TokenFile>> Open(const std::string& path,
                                                         files::FileWatcher& watcher,
                                                         const obs::Logger& log);

  std::optional<Authentication> Authenticate(const http::Request& request,
                                             Later later) const override;

 private:
  using Users = absl::flat_hash_map<TokenDigest, std::shared_ptr<const UserInfo>>;
  struct State {
    mutable base::Mutex mu;
    std::shared_ptr<const Users> users ABSL_GUARDED_BY(mu);
  };

  explicit TokenFile(std::shared_ptr<State> state) : state_(std::move(state)) {}
  static base::StatusOr<std::shared_ptr<const Users>> Parse(const std::string& path,
                                                            std::string_view text,
                                                            const obs::Logger& log);

  const std::shared_ptr<State> state_;  // shared with the watcher's loader
};

}  // namespace strata::auth
