#include "server/auth/authenticator.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "lib/base/ascii.h"

namespace strata::auth {
namespace {}  // namespace

std::shared_ptr<const UserInfo> WithAuthenticatedGroup(std::shared_ptr<const UserInfo> user) {
  const auto has = [&](std::string_view group) {
    return std::find(user->groups.begin(), user->groups.end(), group) != user->groups.end();
  };
  if (user->name == kAnonymous || has(kAuthenticated) || has(kUnauthenticated)) return user;
  auto with = std::make_shared<UserInfo>(*user);
  with->groups.emplace_back(kAuthenticated);
  return with;
}

AuthenticatorChain::AuthenticatorChain(std::vector<std::unique_ptr<Authenticator>> authenticators,
                                       bool anonymous)
    : authenticators_(std::move(authenticators)),
      anonymous_(anonymous ? std::make_shared<const UserInfo>(
                                 UserInfo{kAnonymous, "", {kUnauthenticated}, {}})
                           : nullptr) {}

std::optional<Authentication> AuthenticatorChain::Authenticate(const http::Request& request,
                                                               Later later) const {
  return Ask(0, request, {}, later);
}

bool AuthenticatorChain::Add(Authentication one, Authentication& so_far) {
  // Several who look for a token find the same fault with it.
  for (std::string& warning : one.warnings) {
    auto& told = so_far.warnings;
    if (std::find(told.begin(), told.end(), warning) == told.end())
      told.push_back(std::move(warning));
  }
  if (one.result == Authentication::Result::kNoOpinion) return false;
  so_far.result = one.result;
  if (one.result == Authentication::Result::kError) {
    so_far.error += (so_far.error.empty() ? "" : "; ") + one.error;
    return false;
  }
  so_far.user = WithAuthenticatedGroup(std::move(one.user));
  return true;
}

Authentication AuthenticatorChain::Conclude(Authentication so_far) const {
  if (so_far.result == Authentication::Result::kNoOpinion && anonymous_ != nullptr) {
    so_far.result = Authentication::Result::kUser;
    so_far.user = anonymous_;
  }
  return so_far;
}

std::optional<Authentication> AuthenticatorChain::Ask(size_t index, const http::Request& request,
                                                      Authentication so_far, Later later) const {
  for (; index < authenticators_.size(); ++index) {
    const auto go_on_later = [&]() -> Done {
      return [this, index, &request, so_far = std::move(so_far),
              done = later()](Authentication one) mutable {
        if (Add(std::move(one), so_far)) return done(std::move(so_far));
        auto rest = Ask(index + 1, request, std::move(so_far), [&done] { return std::move(done); });
        if (rest) done(*std::move(rest));
      };
    };
    auto one = authenticators_[index]->Authenticate(request, go_on_later);
    if (!one) return std::nullopt;
    if (Add(*std::move(one), so_far)) return so_far;
  }
  return Conclude(std::move(so_far));
}

BearerToken FindBearerToken(const http::Headers& headers) {
  const std::string* header = headers.Find("authorization");
  if (header == nullptr) return {};
  const std::string_view value = base::Trim(*header, " \t");
  const size_t space = value.find(' ');
  if (space == std::string_view::npos ||
      !base::EqualsIgnoringCase(value.substr(0, space), "bearer"))
    return {};
  const std::string_view rest = value.substr(space + 1);
  const std::string_view token = rest.substr(0, rest.find(' '));
  if (token.empty()) {
    return {{},
            "the provided Authorization header contains extra space before the bearer token, and "
            "is ignored"};
  }
  return {token, {}};
}

void StripCredentials(http::Headers& headers) {
  headers.Remove("authorization");
  headers.RemovePrefix("x-remote-");
  headers.RemovePrefix("impersonate-");
}

}  // namespace strata::auth
