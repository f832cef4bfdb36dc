// Authorization: whether a user may do what a request asks (k8s.io/apiserver pkg/authorization).
#pragma once

#include <absl/functional/function_ref.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/api/request_info.h"
#include "server/auth/user.h"

namespace strata::auth {

struct Decision {
  enum class Verdict { kNoOpinion, kAllow, kDeny };
  Verdict verdict = Verdict::kNoOpinion;
  std::string reason;  // for the client if it is refused, for the audit log if not
  std::string error =
      {};  // why it couldn't be told: what isn't allowed by another authorizer is answered with 500
};

// Thread-safe.
class Authorizer {
 public:
  using Done = std::function<void(Decision)>;
  // Makes the callback of a request that has to wait; few have to. Locks may be held: it only
  // makes.
  using Later = absl::FunctionRef<Done()>;
  virtual ~Authorizer() = default;
  // At once, where nobody has to be asked. Otherwise nothing: `later` has been called, and what it
  // made is called once, inline or on another thread. User and request are valid until then.
  virtual std::optional<Decision> Authorize(const UserInfo& user, const api::RequestInfo& request,
                                            Later later) const = 0;
};

// First what needs no asking: system:masters may do anything, and everybody may do anything with
// the always-allowed paths
// (`/x` exactly, `/x*` whatever starts so). Then each authorizer in order, until one has an
// opinion; if none has, their reasons and errors are told together.
class AuthorizerChain final : public Authorizer {
 public:
  AuthorizerChain(std::vector<std::string> always_allowed_paths,
                  std::vector<std::unique_ptr<Authorizer>> authorizers);
  std::optional<Decision> Authorize(const UserInfo& user, const api::RequestInfo& request,
                                    Later later) const override;

 private:
  bool NeedsNoAsking(const UserInfo& user, const api::RequestInfo& request) const;
  bool AlwaysAllowed(const api::RequestInfo& request) const;
  // From the `index`-th authorizer on.
  std::optional<Decision> Ask(size_t index, const UserInfo& user, const api::RequestInfo& request,
                              Decision so_far, Later later) const;

  const std::vector<std::string> always_allowed_paths_;
  const std::vector<std::unique_ptr<Authorizer>> authorizers_;
};

// --authorization-mode=AlwaysAllow.
class AlwaysAllow final : public Authorizer {
 public:
  std::optional<Decision> Authorize(const UserInfo&, const api::RequestInfo&,
                                    Later) const override {
    return Decision{Decision::Verdict::kAllow, ""};
  }
};

}  // namespace strata::auth
