#include "server/auth/authorizer.h"

#include <algorithm>
#include <utility>

namespace strata::auth {
namespace {

// What authorizers without an opinion say is told together.
void Join(const Decision& one, Decision& so_far) {
  const auto join = [](std::string& to, const std::string& text) {
    if (!to.empty() && !text.empty()) to += '\n';
    to += text;
  };
  join(so_far.reason, one.reason);
  join(so_far.error, one.error);
}

}  // namespace

AuthorizerChain::AuthorizerChain(std::vector<std::string> always_allowed_paths,
                                 std::vector<std::unique_ptr<Authorizer>> authorizers)
    : always_allowed_paths_(std::move(always_allowed_paths)),
      authorizers_(std::move(authorizers)) {}

bool AuthorizerChain::AlwaysAllowed(const api::RequestInfo& request) const {
  if (request.is_resource) return false;
  return std::any_of(always_allowed_paths_.begin(), always_allowed_paths_.end(),
                     [&](std::string_view allowed) {
                       if (!allowed.ends_with('*')) return request.path == allowed;
                       return request.path.starts_with(allowed.substr(0, allowed.size() - 1));
                     });
}

bool AuthorizerChain::NeedsNoAsking(const UserInfo& user, const api::RequestInfo& request) const {
  return std::find(user.groups.begin(), user.groups.end(), kMasters) != user.groups.end() ||
         AlwaysAllowed(request);
}

std::optional<Decision> AuthorizerChain::Authorize(const UserInfo& user,
                                                   const api::RequestInfo& request,
                                                   Later later) const {
  if (NeedsNoAsking(user, request)) return Decision{Decision::Verdict::kAllow, ""};
  return Ask(0, user, request, {}, later);
}

std::optional<Decision> AuthorizerChain::Ask(size_t index, const UserInfo& user,
                                             const api::RequestInfo& request, Decision so_far,
                                             Later later) const {
  for (; index < authorizers_.size(); ++index) {
    const auto go_on_later = [&]() -> Done {
      return [this, index, &user, &request, so_far = std::move(so_far),
              done = later()](Decision one) mutable {
        if (one.verdict != Decision::Verdict::kNoOpinion) return done(std::move(one));
        Join(one, so_far);
        auto rest =
            Ask(index + 1, user, request, std::move(so_far), [&done] { return std::move(done); });
        if (rest) done(*std::move(rest));
      };
    };
    auto one = authorizers_[index]->Authorize(user, request, go_on_later);
    if (!one || one->verdict != Decision::Verdict::kNoOpinion) return one;
    Join(*one, so_far);
  }
  return so_far;
}

}  // namespace strata::auth
