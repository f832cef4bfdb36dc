#include "server/auth/subject_access_review.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include "test/support/fake_kube.h"
#include "test/support/verdicts.h"

namespace strata::auth {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kApp = "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app/layers";
constexpr const char* kOther =
    "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/other/layers";

kube::Response Review(const std::string& status) {
  return {201, R"({"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":)" +
                   status + "}"};
}
const kube::Response kYes = Review(R"({"allowed":true,"reason":"by binding b"})");
const kube::Response kNo = Review(R"({"allowed":false,"reason":"no"})");

class SubjectAccessReviews : public testing::Test {
 protected:
  void Ask(const SubjectAccessReview& reviewer, const UserInfo& user, const char* target,
           const char* method = "GET") {
    // As long as the answer isn't there, the request is.
    auto held = std::make_shared<std::pair<UserInfo, api::RequestInfo>>(
        user, *api::ParseRequestInfo(method, target));
    testing_support::Authorize(
        reviewer, held->first, held->second, [this, held](const Decision& d) {
          answers.push_back(!d.error.empty()                         ? "error: " + d.error
                            : d.verdict == Decision::Verdict::kAllow ? "allow: " + d.reason
                            : d.verdict == Decision::Verdict::kDeny  ? "deny: " + d.reason
                                                                     : "no opinion: " + d.reason);
        });
  }
  void Ask(const UserInfo& user, const char* target) { Ask(review, user, target); }
  std::vector<std::string> Taken() { return std::exchange(answers, {}); }

  testing_support::FakeKube kube;
  base::FakeClock clock;
  obs::Metrics metrics;
  SubjectAccessReview review{kube, {}, clock, metrics};
  const UserInfo alice{"alice", "1", {"devs"}, {{"scope", {"a", "b"}}}};
  std::vector<std::string> answers;
};

TEST_F(SubjectAccessReviews, OneReviewForAllNamesServesAWholeNamespace) {
  Ask(alice, kApp);
  ASSERT_EQ(kube.pending.size(), 1u);
  EXPECT_EQ(kube.pending[0].request.path, "/apis/authorization.k8s.io/v1/subjectaccessreviews");
  EXPECT_THAT(
      kube.pending[0].request.body,
      HasSubstr(
          R"("resourceAttributes":{"namespace":"ns","verb":"get","group":"image.openshift.io",)"
          R"("version":"v1","resource":"imagestreams","subresource":"layers"},)"
          R"("user":"alice","groups":["devs"],"extra":{"scope":["a","b"]},"uid":"1")"));
  kube.Answer(kYes);
  EXPECT_THAT(Taken(), ElementsAre("allow: by binding b"));
  Ask(alice, kOther);
  EXPECT_THAT(Taken(), ElementsAre("allow: by binding b"));
  EXPECT_TRUE(kube.pending.empty());
}

TEST_F(SubjectAccessReviews, CarryTheTraceOfWhoAskedFirst) {
  auto info = *api::ParseRequestInfo("GET", kApp);
  info.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  testing_support::Authorize(review, alice, info, [](const Decision&) {});
  EXPECT_EQ(kube.pending[0].request.traceparent, info.traceparent);
  kube.Answer(kYes);
}

TEST_F(SubjectAccessReviews, WhatIsKeptCountsOnceAlsoWhereMoreHasToBeAsked) {
  Ask(alice, kApp);
  kube.Answer(kNo);
  kube.Answer(kYes);
  Ask(alice, kOther);  // that she may not read all is known
  kube.Answer(kYes);
  const std::string of_cache =
      R"(strata_review_cache_requests_total{cache="subject_access_review",result=)";
  EXPECT_THAT(metrics.Text(), HasSubstr(of_cache + "\"hit\"} 1\n"));
  EXPECT_THAT(metrics.Text(), HasSubstr(of_cache + "\"miss\"} 3\n"));
}

TEST_F(SubjectAccessReviews, WhoMayNotReadAllIsAskedAboutByName) {
  Ask(alice, kApp);
  kube.Answer(kNo);
  ASSERT_EQ(kube.pending.size(), 1u);
  EXPECT_THAT(kube.pending[0].request.body, HasSubstr(R"("name":"app")"));
  kube.Answer(kYes);
  EXPECT_THAT(Taken(), ElementsAre("allow: by binding b"));
  Ask(alice, kOther);
  ASSERT_EQ(kube.pending.size(), 1u);
  EXPECT_THAT(kube.pending[0].request.body, HasSubstr(R"("name":"other")"));
  kube.Answer(kNo);
  EXPECT_THAT(Taken(), ElementsAre("no opinion: no"));
}

TEST_F(SubjectAccessReviews, ByNameAloneWhereThatIsAskedFor) {
  const SubjectAccessReview by_name(kube, {.all_names_first = false}, clock, metrics);
  Ask(by_name, alice, kApp);
  ASSERT_EQ(kube.pending.size(), 1u);
  EXPECT_THAT(kube.pending[0].request.body, HasSubstr(R"("name":"app")"));
  kube.Answer(kYes);
  Ask(by_name, alice, kOther);
  EXPECT_EQ(kube.pending.size(), 1u);
}

TEST_F(SubjectAccessReviews, APathIsReviewedAsAPath) {
  Ask(alice, "/metrics?x=y");
  EXPECT_THAT(kube.pending[0].request.body,
              HasSubstr(R"("nonResourceAttributes":{"path":"/metrics","verb":"get"})"));
  kube.Answer(Review(R"({"allowed":false,"denied":true,"reason":"never"})"));
  EXPECT_THAT(Taken(), ElementsAre("deny: never"));
}

// Everything that a review tells of the user and the request is part of what its answer is kept
// under.
TEST_F(SubjectAccessReviews, NoAnswerLeaksToAnotherUserOrRequest) {
  Ask(alice, kApp);
  kube.Answer(kYes);
  UserInfo uid = alice, groups = alice, more_groups = alice, extra = alice, joined = alice;
  uid.uid = "2";
  groups.groups = {"ops"};
  more_groups.groups = {"devs", ""};
  extra.extra = {{"scope", {"a"}}};
  joined.extra = {{"scope", {"ab"}}};
  const struct {
    UserInfo user;
    const char* method;
    const char* target;
  } kCases[] = {
      {{"alic", "e1", {"devs"}, alice.extra}, "GET", kApp},
      {{"bob", "1", {"devs"}, alice.extra}, "GET", kApp},
      {uid, "GET", kApp},
      {groups, "GET", kApp},
      {more_groups, "GET", kApp},
      {extra, "GET", kApp},
      {joined, "GET", kApp},
      {alice, "DELETE", kApp},
      {alice, "GET", "/apis/image.openshift.io/v1/namespaces/n/imagestreams/app/layers"},
      {alice, "GET", "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app"},
      {alice, "GET", "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app/secrets"},
      {alice, "GET", "/apis/image.openshift.io/v1/namespaces/ns/imagestreamtags/app/layers"},
      {alice, "GET", "/apis/image.openshift.io/v2/namespaces/ns/imagestreams/app/layers"},
      {alice, "GET", "/apis/build.openshift.io/v1/namespaces/ns/imagestreams/app/layers"},
      {alice, "GET", "/metrics"},
  };
  answers.clear();
  for (const auto& c : kCases) {
    Ask(review, c.user, c.target, c.method);
    EXPECT_TRUE(answers.empty()) << c.user.name << " " << c.method << " " << c.target;
  }
}

// A proxy's user may have extra attributes of any name, and a request any method.
TEST_F(SubjectAccessReviews, AUsersAttributesAreNotTakenForARequests) {
  const UserInfo plain{"eve", "", {}, {}}, crafted{"eve", "", {}, {{"n", {"/metrics"}}}};
  Ask(crafted, "/metrics");
  kube.Answer(kYes);
  EXPECT_THAT(Taken(), ElementsAre("allow: by binding b"));
  Ask(review, plain, "/metrics", "1");
  EXPECT_TRUE(answers.empty());
}

TEST_F(SubjectAccessReviews, WhoCouldNotAnswerForAllNamesIsNotAskedForOne) {
  Ask(alice, kApp);
  kube.Answer(base::UnavailableError("connection refused"));
  EXPECT_THAT(Taken(), ElementsAre("error: connection refused"));
  EXPECT_TRUE(kube.pending.empty());
}

TEST_F(SubjectAccessReviews, ARevocationIsSeenAfterTheCachesTime) {
  Ask(alice, kApp);
  kube.Answer(kYes);
  clock.Advance(seconds(10));
  Ask(alice, kApp);
  kube.Answer(kNo);
  kube.Answer(kNo);
  EXPECT_THAT(Taken(), ElementsAre("allow: by binding b", "no opinion: no"));
  clock.Advance(seconds(9));
  Ask(alice, kApp);
  EXPECT_THAT(Taken(), ElementsAre("no opinion: no"));
}

TEST_F(SubjectAccessReviews, WhatIsNoAnswerIsAnErrorAndNotKept) {
  const struct {
    base::StatusOr<kube::Response> answer;
    const char* error;
  } kCases[] = {
      {base::DeadlineExceededError("no answer within 10s"), "no answer within 10s"},
      {kube::Response{503, "busy"}, "answered 503"},
      {kube::Response{201, "null"}, "something else"},
      {kube::Response{201, R"({"kind":"SubjectAccessReview"})"}, "something else"},
      {kube::Response{201, R"({"kind":"TokenReview","status":{"allowed":true}})"},
       "something else"},
      {Review(R"({"allowed":1})"), "something else"},
      {Review(R"({"allowed":true,"denied":true})"), "both allow and deny"},
  };
  for (const auto& c : kCases) {
    Ask(alice, "/metrics");
    ASSERT_EQ(kube.pending.size(), 1u) << c.error;
    kube.Answer(c.answer);
    EXPECT_THAT(Taken(),
                ElementsAre(testing::AllOf(testing::StartsWith("error: "), HasSubstr(c.error))));
  }
}

// A path, the name that a field selector asks for, and whoever is impersonated.
TEST_F(SubjectAccessReviews, WhatARequesterMakesLongTakesNoMoreRoomThanOthers) {
  const size_t before = mallinfo2().uordblks;
  for (int i = 0; i < 300; ++i) {
    const std::string any = std::to_string(i) + std::string(50'000, 'x');
    api::RequestInfo whom;
    whom.verb = "impersonate", whom.resource = "users", whom.name = any, whom.is_resource = true;
    for (const std::string& target :
         {"/" + any, std::string("/apis/image.openshift.io/v1/namespaces/ns/"
                                 "imagestreams?fieldSelector=metadata.name=") +
                         any})
      Ask(alice, target.c_str());
    testing_support::Authorize(review, alice, whom, [](const Decision&) {});
    while (!kube.pending.empty()) kube.Answer(kNo);
  }
  EXPECT_LT(mallinfo2().uordblks - before, 3u << 20) << "not so under sanitizers, which say 0";
}

TEST_F(SubjectAccessReviews, WhoIsImpersonatedIsAskedAboutByNameAlone) {
  api::RequestInfo whom;
  whom.verb = "impersonate", whom.resource = "groups", whom.name = "system:masters";
  whom.is_resource = true;
  testing_support::Authorize(review, alice, whom, [](const Decision&) {});
  ASSERT_EQ(kube.pending.size(), 1u);
  EXPECT_THAT(kube.pending[0].request.body, HasSubstr(R"("name":"system:masters")"));
  kube.Answer(kNo);
  EXPECT_TRUE(kube.pending.empty());
}

}  // namespace
}  // namespace strata::auth
