#include "server/auth/token_review.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/support/fake_kube.h"
#include "test/support/verdicts.h"

namespace strata::auth {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

std::string Review(const std::string& status) {
  return R"({"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","metadata":{},)"
         R"("status":)" +
         status + "}";
}
const std::string kAlice =
    Review(R"({"authenticated":true,"user":{"username":"alice","uid":"1","groups":["g1","g2"],)"
           R"("extra":{"k":["v1","v2"]}},"audiences":["strata"]})");

class TokenReviews : public testing::Test {
 protected:
  // Asks; the answer comes to `answers`.
  void Ask(const TokenReview& reviewer, const std::string& token) {
    http::Request request;
    request.headers.Add("authorization", "Bearer " + token);
    testing_support::Authenticate(reviewer, request, [this](const Authentication& r) {
      answers.push_back(r.result == Authentication::Result::kUser    ? r.user->name
                        : r.result == Authentication::Result::kError ? "error: " + r.error
                                                                     : "nobody");
      if (r.user != nullptr) user = *r.user;
    });
  }
  void Ask(const std::string& token) { Ask(review, token); }
  std::vector<std::string> Taken() { return std::exchange(answers, {}); }

  testing_support::FakeKube kube;
  base::FakeClock clock;
  obs::Metrics metrics;
  TokenReview review{kube, {}, clock, metrics};
  std::vector<std::string> answers;
  UserInfo user;
};

TEST_F(TokenReviews, AskKubeApiserverAndKeepTheAnswerForTenSeconds) {
  Ask("t1");
  ASSERT_EQ(kube.pending.size(), 1u);
  EXPECT_EQ(kube.pending[0].request.path, "/apis/authentication.k8s.io/v1/tokenreviews");
  EXPECT_THAT(kube.pending[0].request.body, HasSubstr(R"("spec":{"token":"t1"})"));
  EXPECT_TRUE(kube.pending[0].request.retry);
  kube.Answer(kube::Response{201, kAlice});
  EXPECT_THAT(Taken(), ElementsAre("alice"));
  EXPECT_EQ(user.uid, "1");
  EXPECT_THAT(user.groups, ElementsAre("g1", "g2"));
  EXPECT_THAT(user.extra.at("k"), ElementsAre("v1", "v2"));

  clock.Advance(seconds(9));
  Ask("t1");
  EXPECT_THAT(Taken(), ElementsAre("alice"));
  EXPECT_TRUE(kube.pending.empty());
  clock.Advance(seconds(1));
  Ask("t1");
  EXPECT_EQ(kube.pending.size(), 1u) << "a revoked token is asked about again";
  kube.Answer(kube::Response{201, Review(R"({"user":{}})")});
  EXPECT_THAT(Taken(), ElementsAre("error: invalid bearer token"));
  Ask("t1");
  EXPECT_THAT(Taken(), ElementsAre("error: invalid bearer token")) << "a no is kept too";
}

TEST_F(TokenReviews, OneTokenIsAskedAboutOnceAtATime) {
  Ask("t1");
  Ask("t1");
  Ask("t2");
  ASSERT_EQ(kube.pending.size(), 2u);
  kube.Answer(kube::Response{201, kAlice});
  EXPECT_THAT(Taken(), ElementsAre("alice", "alice"));
  kube.Answer(kube::Response{201, Review("{}")});
  EXPECT_THAT(Taken(), ElementsAre("error: invalid bearer token"));
}

TEST_F(TokenReviews, WhatIsNoAnswerIsAnErrorAndNotKept) {
  const struct {
    base::StatusOr<kube::Response> answer;
    const char* error;
  } kCases[] = {
      {base::UnavailableError("connection refused"), "connection refused"},
      {base::ResourceExhaustedError("larger than 33554432 bytes"), "larger than"},
      {kube::Response{500, "oops"}, "answered 500"},
      {kube::Response{403, R"({"kind":"Status","message":"may not create tokenreviews"})"},
       "may not create tokenreviews"},
      {kube::Response{201, ""}, "something else"},
      {kube::Response{201, "[]"}, "something else"},
      {kube::Response{201, R"({"kind":"Status","status":{}})"}, "something else"},
      {kube::Response{201, R"({"kind":"TokenReview"})"}, "something else"},
      {kube::Response{201, R"({"kind":"TokenReview","status":"x"})"}, "something else"},
      {kube::Response{201, Review(R"({"authenticated":"true"})")}, "something else"},
      {kube::Response{201, Review(R"({"user":{},"error":"[invalid bearer token, etcd is away]"})")},
       "etcd is away"},
      {kube::Response{201, Review(R"({"authenticated":true})")}, "without telling its user"},
      {kube::Response{201, Review(R"({"authenticated":true,"user":{"username":""}})")},
       "without telling its user"},
  };
  for (const auto& c : kCases) {
    Ask("t");
    ASSERT_EQ(kube.pending.size(), 1u) << c.error;
    kube.Answer(c.answer);
    EXPECT_THAT(Taken(),
                ElementsAre(testing::AllOf(testing::StartsWith("error: "), HasSubstr(c.error))));
  }
}

TEST_F(TokenReviews, ATokenMustBeForOneOfTheAudiences) {
  const auto ask = [&](const std::vector<std::string>& wanted, const std::string& status) {
    const TokenReview reviewer(kube, {.audiences = wanted}, clock, metrics);
    Ask(reviewer, "t");
    EXPECT_THAT(kube.pending[0].request.body, HasSubstr(R"("audiences":["registry",)"));
    kube.Answer(kube::Response{201, Review(status)});
    return Taken()[0];
  };
  const std::string head = R"({"authenticated":true,"user":{"username":"alice"})";
  EXPECT_EQ(ask({"registry", "strata"}, head + R"(,"audiences":["x","strata"]})"), "alice");
  EXPECT_EQ(ask({"registry", "strata"}, head + R"(,"audiences":["x"]})"),
            "error: invalid bearer token");
  EXPECT_EQ(ask({"registry", "strata"}, head + "}"), "error: invalid bearer token");
}

TEST_F(TokenReviews, CarryTheTraceOfWhoAskedFirst) {
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  for (const auto& [sent, passed_on] :
       {std::pair{trace, trace}, {std::string("x\r\ny: z"), std::string()}}) {
    http::Request request;
    request.headers.Add("authorization", "Bearer " + passed_on + "t");
    request.headers.Add("traceparent", sent);
    testing_support::Authenticate(review, request, [](const Authentication&) {});
    EXPECT_EQ(kube.pending.back().request.traceparent, passed_on);
  }
}

TEST_F(TokenReviews, WithoutATokenThereIsNoOpinion) {
  const http::Request request;
  Authentication::Result result = Authentication::Result::kError;
  testing_support::Authenticate(review, request,
                                [&](const Authentication& r) { result = r.result; });
  EXPECT_EQ(result, Authentication::Result::kNoOpinion);
  EXPECT_TRUE(kube.pending.empty());
}

}  // namespace
}  // namespace strata::auth
