#include "server/auth/authenticator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/support/verdicts.h"

namespace strata::auth {
namespace {

using testing::ElementsAre;

class Always final : public Authenticator {
 public:
  explicit Always(Authentication result) : result_(std::move(result)) {}
  std::optional<Authentication> Authenticate(const http::Request&, Later) const override {
    return result_;
  }

 private:
  const Authentication result_;
};

// Says the same as another, who is asked.
class Asking final : public Authenticator {
 public:
  explicit Asking(const Authenticator& other) : other_(other) {}
  std::optional<Authentication> Authenticate(const http::Request& request,
                                             Later later) const override {
    later()(*other_.Authenticate(request, later));
    return std::nullopt;
  }

 private:
  const Authenticator& other_;
};

std::unique_ptr<Authenticator> User(const std::string& name, std::vector<std::string> groups = {}) {
  return std::make_unique<Always>(
      Authentication{Authentication::Result::kUser,
                     std::make_shared<UserInfo>(UserInfo{name, "", std::move(groups), {}}),
                     "",
                     {}});
}
std::unique_ptr<Authenticator> Nobody() {
  return std::make_unique<Always>(Authentication{});
}
std::unique_ptr<Authenticator> Wrong(const std::string& error) {
  return std::make_unique<Always>(
      Authentication{Authentication::Result::kError, nullptr, error, {"w"}});
}

// What a chain of them says, which is the same whoever of them has to ask.
template <typename... A>
Authentication Ask(bool anonymous, A... authenticators) {
  std::vector<std::unique_ptr<Authenticator>> all;
  (all.push_back(std::move(authenticators)), ...);
  std::vector<Authentication> said;
  for (unsigned who_asks = 0; who_asks < 1u << all.size(); ++who_asks) {
    std::vector<std::unique_ptr<Authenticator>> list;
    for (size_t i = 0; i < all.size(); ++i) {
      if ((who_asks >> i & 1) != 0) {
        list.push_back(std::make_unique<Asking>(*all[i]));
      } else {
        list.push_back(std::make_unique<Always>(*all[i]->Authenticate({}, [] { return nullptr; })));
      }
    }
    const AuthenticatorChain chain(std::move(list), anonymous);
    testing_support::Authenticate(chain, {},
                                  [&](Authentication r) { said.push_back(std::move(r)); });
    EXPECT_EQ(said.size(), who_asks + 1);
    EXPECT_EQ(said.back().result, said[0].result);
    EXPECT_EQ(said.back().error, said[0].error);
    EXPECT_EQ(said.back().warnings, said[0].warnings);
    EXPECT_EQ(said.back().user == nullptr ? "" : said.back().user->name,
              said[0].user == nullptr ? "" : said[0].user->name);
  }
  return said[0];
}

TEST(AuthenticatorChain, TheFirstWhoKnowsTheUserDecides) {
  const Authentication result = Ask(true, Nobody(), Wrong("x"), User("a", {"g"}), User("b"));
  EXPECT_EQ(result.result, Authentication::Result::kUser);
  EXPECT_EQ(result.user->name, "a");
  EXPECT_THAT(result.user->groups, ElementsAre("g", "system:authenticated"));
  EXPECT_THAT(result.warnings, ElementsAre("w"));
}

TEST(AuthenticatorChain, AnErrorIsNotForgottenForAnonymous) {
  const Authentication result = Ask(true, Wrong("bad certificate"), Wrong("bad token"));
  EXPECT_EQ(result.result, Authentication::Result::kError);
  EXPECT_EQ(result.error, "bad certificate; bad token");
  EXPECT_THAT(result.warnings, ElementsAre("w")) << "told once";
}

TEST(AuthenticatorChain, WhoShowsNothingIsAnonymousWhereThatIsAllowed) {
  const Authentication allowed = Ask(true, Nobody());
  EXPECT_EQ(allowed.user->name, "system:anonymous");
  EXPECT_THAT(allowed.user->groups, ElementsAre("system:unauthenticated"));
  EXPECT_EQ(Ask(false, Nobody()).result, Authentication::Result::kNoOpinion);
}

TEST(BearerToken, IsReadAsTheReferenceReadsIt) {
  const struct {
    const char* header;
    std::string_view token;
    bool warning;
  } kCases[] = {
      {"Bearer abc", "abc", false},
      {"bearer abc", "abc", false},
      {"  BEARER abc  ", "abc", false},
      {"Bearer  abc", "", true},
      {"Bearer", "", false},
      {"Bearer ", "", false},
      {"Basic abc", "", false},
      {"Bearer abc def", "abc", false},
      {"", "", false},
  };
  for (const auto& c : kCases) {
    http::Headers headers;
    headers.Add("authorization", c.header);
    const BearerToken bearer = FindBearerToken(headers);
    EXPECT_EQ(bearer.token, c.token) << c.header;
    EXPECT_EQ(!bearer.warning.empty(), c.warning) << c.header;
  }
}

TEST(StripCredentials, RemovesWhatMustNotBePassedOn) {
  http::Headers headers;
  for (const char* name : {"authorization", "x-remote-user", "x-remote-extra-a", "accept"})
    headers.Add(name, "v");
  StripCredentials(headers);
  EXPECT_EQ(headers.size(), 1u);
}

}  // namespace
}  // namespace strata::auth
