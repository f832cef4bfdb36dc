#include "server/endpoints/audiences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "server/registry/image_v1.h"

namespace strata::endpoints {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

class QuietCall final : public Call {
 public:
  QuietCall() {
    info = std::make_shared<api::RequestInfo>();
    auto who = std::make_shared<auth::UserInfo>();
    who->name = "alice";
    user = std::move(who);
  }
  void Respond(http::Response) override {}
  void Post(std::function<void()> task) override { task(); }
};

// Answers at once, or when the test says so.
class Reviews final : public auth::Authorizer {
 public:
  std::optional<auth::Decision> Authorize(const auth::UserInfo& user,
                                          const api::RequestInfo& request,
                                          Later later) const override {
    asked.push_back(user.name + " " + request.verb + " " + request.resource + "/" +
                    request.subresource + "." + request.api_group + " in " + request.ns);
    if (!slow) return DecisionOn(request.ns);
    waiting.emplace_back(request.ns, later());
    return std::nullopt;
  }
  auth::Decision DecisionOn(const std::string& ns) const {
    using Verdict = auth::Decision::Verdict;
    const auto found = decisions.find(ns);
    if (found == decisions.end()) return {Verdict::kNoOpinion, "", "unreachable"};
    return {found->second ? Verdict::kAllow : Verdict::kNoOpinion, ""};
  }
  void AnswerOne() {
    const auto [ns, done] = std::move(waiting.front());
    waiting.pop_front();
    done(DecisionOn(ns));
  }

  std::map<std::string, bool> decisions;
  bool slow = false;
  mutable std::vector<std::string> asked;
  mutable std::deque<std::pair<std::string, Done>> waiting;
};

class Audience : public testing::Test {
 protected:
  void Ask(std::vector<std::string> namespaces) {
    audiences.Ask(call, std::move(namespaces), stop.get_token(), [this](Audiences::Answer answer) {
      EXPECT_FALSE(seen) << "told twice";
      seen = std::move(answer);
    });
  }

  QuietCall call;
  Reviews reviews;
  base::FakeClock clock;
  obs::Metrics metrics;
  const obs::Logger log{{}, metrics};
  std::stop_source stop;
  const Audiences audiences{
      reviews, registry::ImageStreamLayers(), {.max_namespaces = 5, .at_a_time = 2}, clock, log,
      metrics};
  std::optional<Audiences::Answer> seen;
};

TEST_F(Audience, SeesWhereItMayGetWhatShows) {
  reviews.decisions = {{"a", true}, {"b", false}, {"c", true}};
  Ask({"a", "b", "c"});
  ASSERT_TRUE(seen);
  EXPECT_THAT(seen->audience.namespaces, UnorderedElementsAre("a", "c"));
  EXPECT_FALSE(seen->audience.sees_all);
  EXPECT_FALSE(seen->is_partial);
  EXPECT_EQ(reviews.asked[0], "alice get imagestreams/layers.image.openshift.io in a");
}

TEST_F(Audience, SeesEverythingWhereItMayGetAll) {
  reviews.decisions = {{"", true}};
  audiences.AskForAll(call, [this](const Audiences::Answer& answer) { seen = answer; });
  EXPECT_TRUE(seen->audience.sees_all);
  EXPECT_THAT(reviews.asked, ElementsAre("alice get imagestreams/layers.image.openshift.io in "));
  reviews.decisions = {{"", false}};
  audiences.AskForAll(call, [this](const Audiences::Answer& answer) { seen = answer; });
  EXPECT_FALSE(seen->audience.sees_all);
}

TEST_F(Audience, IsAskedForAFewNamespacesAtATime) {
  reviews.slow = true;
  reviews.decisions = {{"a", true}, {"b", true}, {"c", true}};
  Ask({"a", "b", "c"});
  EXPECT_EQ(reviews.asked.size(), 2u);
  reviews.AnswerOne();
  EXPECT_EQ(reviews.asked.size(), 3u);
  reviews.AnswerOne();
  EXPECT_FALSE(seen);
  reviews.AnswerOne();
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->audience.namespaces.size(), 3u);
}

TEST_F(Audience, DoesntSeeWhatCantBeDecided) {
  reviews.decisions = {{"a", true}};
  Ask({"a", "unknown"});
  EXPECT_THAT(seen->audience.namespaces, ElementsAre("a"));
  EXPECT_TRUE(seen->is_partial);
}

TEST_F(Audience, IsntAskedForMoreNamespacesThanItsBound) {
  for (const char* ns : {"a", "b", "c", "d", "e", "f"}) reviews.decisions[ns] = true;
  Ask({"a", "b", "c", "d", "e", "f"});
  EXPECT_THAT(seen->audience.namespaces, UnorderedElementsAre("a", "b", "c", "d", "e"));
  EXPECT_TRUE(seen->is_partial);
  EXPECT_THAT(metrics.Text(), testing::HasSubstr("strata_partial_audiences_total 1"));
}

TEST_F(Audience, IsntAskedForeverNorForNobody) {
  reviews.slow = true;
  for (const char* ns : {"a", "b", "c", "d"}) reviews.decisions[ns] = true;
  Ask({"a", "b", "c", "d"});
  clock.Advance(std::chrono::seconds(5));
  reviews.AnswerOne();
  reviews.AnswerOne();
  ASSERT_TRUE(seen);
  EXPECT_EQ(reviews.asked.size(), 2u);
  EXPECT_THAT(seen->audience.namespaces, UnorderedElementsAre("a", "b"));
  EXPECT_TRUE(seen->is_partial);

  seen.reset();
  Ask({"a", "b", "c", "d"});
  stop.request_stop();
  reviews.AnswerOne();
  reviews.AnswerOne();
  ASSERT_TRUE(seen);
  EXPECT_EQ(reviews.asked.size(), 4u);
}

TEST_F(Audience, OfNoNamespacesIsToldAtOnce) {
  Ask({});
  ASSERT_TRUE(seen);
  EXPECT_TRUE(seen->audience.namespaces.empty());
  EXPECT_FALSE(seen->is_partial);
}

}  // namespace
}  // namespace strata::endpoints
