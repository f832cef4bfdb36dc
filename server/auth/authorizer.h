// Authorization: whether a user may do what a request asks (k8s.io/apiserver pkg/authorization).
#pragma once

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

// Thread-safe. `done` is called once, inline or later on another thread; user and request are valid
// until then.
class Authorizer {
 public:
  using Done = std::function<void(Decision)>;
  virtual ~Authorizer() = default;
  virtual void Authorize(const UserInfo& user, const api::RequestInfo& request,
                         Done done) const = 0;
  // The same, where nobody has to be asked and nothing waited for; nothing where somebody has.
  virtual std::optional<Decision> Judge(const UserInfo&, const api::RequestInfo&) const {
    return std::nullopt;
  }
};

// First what needs no asking: system:masters may do anything, and everybody may do anything with
// the always-allowed paths
// (`/x` exactly, `/x*` whatever starts so). Then each authorizer in order, until one has an
// opinion; if none has, their reasons and errors are told together.
class AuthorizerChain final : public Authorizer {
 public:
  AuthorizerChain(std::vector<std::string> always_allowed_paths,
                  std::vector<std::unique_ptr<Authorizer>> authorizers);
  void Authorize(const UserInfo& user, const api::RequestInfo& request, Done done) const override;
  std::optional<Decision> Judge(const UserInfo& user,
                                const api::RequestInfo& request) const override;

 private:
  bool NeedsNoAsking(const UserInfo& user, const api::RequestInfo& request) const;
  bool AlwaysAllowed(const api::RequestInfo& request) const;
  void Ask(size_t index, const UserInfo& user, const api::RequestInfo& request, Decision so_far,
           Done done) const;

  const std::vector<std::string> always_allowed_paths_;
  const std::vector<std::unique_ptr<Authorizer>> authorizers_;
};

// --authorization-mode=AlwaysAllow.
class AlwaysAllow final : public Authorizer {
 public:
  void Authorize(const UserInfo&, const api::RequestInfo&, Done done) const override {
    done({Decision::Verdict::kAllow, ""});
  }
  std::optional<Decision> Judge(const UserInfo&, const api::RequestInfo&) const override {
    return Decision{Decision::Verdict::kAllow, ""};
  }
};

}  // namespace strata::auth
