#include "server/auth/authenticator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::auth {
namespace {

using testing::ElementsAre;

class Always final : public Authenticator {
 public:
  explicit Always(Authentication result) : result_(std::move(result)) {}
  void Authenticate(const http::Request&, Done done) const override { done(result_); }
  std::optional<Authentication> Judge(const http::Request&) const override { return result_; }

 private:
  const Authentication result_;
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

template <typename... A>
Authentication Ask(bool anonymous, A... authenticators) {
  std::vector<std::unique_ptr<Authenticator>> list;
  (list.push_back(std::move(authenticators)), ...);
  Authentication result;
  const http::Request request;
  const AuthenticatorChain chain(std::move(list), anonymous);
  chain.Authenticate(request, [&](Authentication r) { result = std::move(r); });
  const auto at_once = chain.Judge(request);
  EXPECT_EQ(at_once->result, result.result);
  EXPECT_EQ(at_once->error, result.error);
  EXPECT_EQ(at_once->warnings, result.warnings);
  EXPECT_EQ(at_once->user == nullptr ? "" : at_once->user->name,
            result.user == nullptr ? "" : result.user->name);
  return result;
}

class Asks final : public Authenticator {
 public:
  void Authenticate(const http::Request&, Done done) const override { done({}); }
};

TEST(AuthenticatorChain, TellsNothingAtOnceWhereSomebodyHasToBeAskedFirst) {
  std::vector<std::unique_ptr<Authenticator>> list;
  list.push_back(std::make_unique<Asks>());
  list.push_back(User("a"));
  EXPECT_FALSE(AuthenticatorChain(std::move(list), true).Judge({}).has_value());
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
