// Authentication: from a request to a user (k8s.io/apiserver pkg/authentication).
#pragma once

#include <absl/functional/function_ref.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/transport/http/message.h"
#include "server/auth/user.h"

namespace strata::auth {

struct Authentication {
  enum class Result {
    kUser,
    kNoOpinion,  // the request has nothing that this authenticator judges
    kError,      // it has, and it is wrong: `error`, for the log
  };
  Result result = Result::kNoOpinion;
  std::shared_ptr<const UserInfo> user;
  std::string error;
  std::vector<std::string> warnings;  // for the client
};

// Thread-safe.
class Authenticator {
 public:
  using Done = std::function<void(Authentication)>;
  // Makes the callback of a request that has to wait; few have to. Locks may be held: it only
  // makes.
  using Later = absl::FunctionRef<Done()>;
  virtual ~Authenticator() = default;
  // At once, where nobody has to be asked. Otherwise nothing: `later` has been called, and what it
  // made is called once, inline or on another thread. The request is valid until then.
  virtual std::optional<Authentication> Authenticate(const http::Request& request,
                                                     Later later) const = 0;
};

// Asks each in order until one knows the user. What one finds wrong doesn't stop the next, but if
// none knows the user it is the answer. Users get the group system:authenticated; with `anonymous`,
// a request that nobody has an opinion of is system:anonymous's.
class AuthenticatorChain final : public Authenticator {
 public:
  AuthenticatorChain(std::vector<std::unique_ptr<Authenticator>> authenticators, bool anonymous);
  std::optional<Authentication> Authenticate(const http::Request& request,
                                             Later later) const override;

 private:
  // Takes up what one of them says; true if that decides.
  static bool Add(Authentication one, Authentication& so_far);
  Authentication Conclude(Authentication so_far) const;
  // From the `index`-th authenticator on.
  std::optional<Authentication> Ask(size_t index, const http::Request& request,
                                    Authentication so_far, Later later) const;

  const std::vector<std::unique_ptr<Authenticator>> authenticators_;
  const std::shared_ptr<const UserInfo> anonymous_;  // null: not allowed
};

// In group system:authenticated, unless it is nobody or in one of the two already. The chain does
// so; who keeps users does it once for each.
std::shared_ptr<const UserInfo> WithAuthenticatedGroup(std::shared_ptr<const UserInfo> user);

// The token of `Authorization: Bearer TOKEN` (bearertoken.go). Empty if there is none.
struct BearerToken {
  std::string_view token;
  std::string warning;
};
BearerToken FindBearerToken(const http::Headers& headers);

// Removes what must not be believed, logged or passed on once it is known whose request this is:
// Authorization, X-Remote-*, Impersonate-*.
void StripCredentials(http::Headers& headers);

}  // namespace strata::auth
