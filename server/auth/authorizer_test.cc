#include "server/auth/authorizer.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "server/auth/rbac_fixture_test.h"
#include "test/support/verdicts.h"

namespace strata::auth {
namespace {

TEST(AuthorizerChain, MastersAndAlwaysAllowedPathsAreNotAsked) {
  const AuthorizerChain chain({"/healthz", "/pub*"}, {});
  const auto verdict = [&](const UserInfo& user, const char* target) {
    Decision::Verdict out{};
    const auto info = api::ParseRequestInfo("GET", target);
    testing_support::Authorize(chain, user, *info, [&](const Decision& d) { out = d.verdict; });
    return out;
  };
  EXPECT_EQ(verdict({"m", "", {kMasters}, {}}, kLayers), Decision::Verdict::kAllow);
  EXPECT_EQ(verdict({"u", "", {}, {}}, "/healthz"), Decision::Verdict::kAllow);
  EXPECT_EQ(verdict({"u", "", {}, {}}, "/healthz/etcd"), Decision::Verdict::kNoOpinion);
  EXPECT_EQ(verdict({"u", "", {}, {}}, "/public"), Decision::Verdict::kAllow);
  EXPECT_EQ(verdict({"u", "", {}, {}}, kLayers), Decision::Verdict::kNoOpinion);
}

class Says final : public Authorizer {
 public:
  // With `asks` somebody has to be asked.
  explicit Says(Decision decision, bool asks = false)
      : decision_(std::move(decision)), asks_(asks) {}
  std::optional<Decision> Authorize(const UserInfo&, const api::RequestInfo&,
                                    Later later) const override {
    if (!asks_) return decision_;
    later()(decision_);
    return std::nullopt;
  }

 private:
  const Decision decision_;
  const bool asks_;
};

TEST(AuthorizerChain, TheFirstOpinionCountsAndReasonsOfTheOthersAreTold) {
  using Verdict = Decision::Verdict;
  // The same, whoever of them has to ask.
  const auto ask = [](const std::vector<Decision>& decisions) {
    const auto info = api::ParseRequestInfo("GET", kLayers);
    std::vector<Decision> said;
    for (unsigned who_asks = 0; who_asks < 1u << decisions.size(); ++who_asks) {
      std::vector<std::unique_ptr<Authorizer>> authorizers;
      for (size_t i = 0; i < decisions.size(); ++i)
        authorizers.push_back(std::make_unique<Says>(decisions[i], (who_asks >> i & 1) != 0));
      const AuthorizerChain chain({}, std::move(authorizers));
      testing_support::Authorize(chain, {"u", "", {}, {}}, *info,
                                 [&](Decision d) { said.push_back(std::move(d)); });
      EXPECT_EQ(said.size(), who_asks + 1);
      EXPECT_EQ(said.back().verdict, said[0].verdict);
      EXPECT_EQ(said.back().reason, said[0].reason);
      EXPECT_EQ(said.back().error, said[0].error);
    }
    return said[0];
  };
  EXPECT_EQ(
      ask({{Verdict::kNoOpinion, "x"}, {Verdict::kAllow, "yes"}, {Verdict::kDeny, "no"}}).reason,
      "yes");
  EXPECT_EQ(ask({{Verdict::kDeny, "no"}, {Verdict::kAllow, "yes"}}).verdict, Verdict::kDeny);
  const Decision none =
      ask({{Verdict::kNoOpinion, "x", "e"}, {Verdict::kNoOpinion, ""}, {Verdict::kNoOpinion, "y"}});
  EXPECT_EQ(none.verdict, Verdict::kNoOpinion);
  EXPECT_EQ(none.reason, "x\ny");
  EXPECT_EQ(none.error, "e");
}

}  // namespace
}  // namespace strata::auth
