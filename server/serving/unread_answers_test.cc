#include "server/serving/unread_answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "test/support/metric.h"

namespace strata::serving {
namespace {

using ::testing::HasSubstr;

class UnreadAnswersTest : public ::testing::Test {
 protected:
  static UnreadAnswers::Body Make(size_t size) {
    return std::make_shared<const std::string>(size, 'x');
  }
  UnreadAnswers::Body Admit(UnreadAnswers::Body body, std::string_view user = "u",
                            base::Shares::Claim claim = base::Shares::Claim::kFair) {
    return unread_.Admit(std::move(body), user, claim);
  }
  double Bytes() const {
    return testing_support::MetricOf(metrics_, "strata_http_unread_response_bytes");
  }

  base::FakeClock clock_;
  obs::Metrics metrics_;
  UnreadAnswers unread_{1'000'000, clock_, metrics_};
};

TEST_F(UnreadAnswersTest, CountsABodyForAsLongAsItIsHeld) {
  auto body = Admit(Make(300'000));
  EXPECT_EQ(body->size(), 300'000u);
  const auto small = Admit(Make(10));
  EXPECT_EQ(Bytes(), 300'010);
  const auto copy = body;
  body = nullptr;
  EXPECT_EQ(Bytes(), 300'010);
}

TEST_F(UnreadAnswersTest, CountsALargeBodyOnceForAllItsReaders) {
  const auto shared = Make(800'000);
  {
    std::vector<UnreadAnswers::Body> held;
    for (int i = 0; i < 100; ++i) held.push_back(Admit(shared));
    for (const auto& body : held) ASSERT_EQ(body.get(), shared.get()) << "and doesn't copy it";
    EXPECT_EQ(Bytes(), 800'000);
  }
  EXPECT_EQ(Bytes(), 0);
  const auto again = Admit(shared);
  EXPECT_EQ(Bytes(), 800'000);
}

TEST_F(UnreadAnswersTest, RefusesWhatThereIsNoRoomForUntilThereIs) {
  auto large = Admit(Make(900'000));
  EXPECT_EQ(Admit(Make(200'000)), nullptr);
  std::vector<UnreadAnswers::Body> small;
  for (const char* user : {"a", "b", "c", "d", "e"}) small.push_back(Admit(Make(20'000), user));
  EXPECT_EQ(Admit(Make(20'000)), nullptr);
  EXPECT_NE(Admit(Make(2'000)), nullptr) << "an answer that says so always fits";
  EXPECT_EQ(Bytes(), 1'000'000);
  EXPECT_THAT(metrics_.Text(), HasSubstr("strata_http_responses_without_room_total 2"));
  large = nullptr;
  EXPECT_NE(Admit(Make(200'000)), nullptr);
}

TEST_F(UnreadAnswersTest, OneUserLeavesRoomForOthersAndMastersAreNeverRefused) {
  std::vector<UnreadAnswers::Body> greedy;
  while (auto body = Admit(Make(50'000), "greedy")) greedy.push_back(std::move(body));
  EXPECT_EQ(greedy.size(), 15u);
  const auto modest = Admit(Make(100'000), "modest");
  EXPECT_NE(modest, nullptr);
  EXPECT_EQ(Admit(Make(200'000), "another"), nullptr) << "there isn't so much left";
  EXPECT_NE(Admit(Make(200'000), "admin", base::Shares::Claim::kExempt), nullptr);
}

TEST_F(UnreadAnswersTest, WhileMemoryIsShortWhoReadsSmallAnswersIsNotRefusedForWhoDoesNot) {
  base::MemoryPressure memory;
  base::Limit limit = 16'000'000;
  limit.GiveWayTo(memory);
  obs::Metrics metrics;
  UnreadAnswers unread(limit, clock_, metrics);
  const auto admit = [&](size_t size, const char* user) {
    return unread.Admit(Make(size), user, base::Shares::Claim::kFair);
  };
  const auto alone = admit(5'000'000, "greedy");
  memory.Set(true);
  EXPECT_EQ(admit(100'000, "greedy"), nullptr);
  EXPECT_EQ(admit(100'000, "modest"), nullptr);
  std::vector<UnreadAnswers::Body> greedy;
  while (auto body = admit(50'000, "greedy")) greedy.push_back(std::move(body));
  EXPECT_EQ(greedy.size(), 3u) << "of a quarter of a million, three quarters";
  EXPECT_NE(admit(20'000, "modest"), nullptr);
  EXPECT_EQ(testing_support::MetricOf(metrics, "strata_http_unread_response_bytes"), 5'150'000);
}

TEST_F(UnreadAnswersTest, WhileMemoryIsShortALargeAnswerGoesOutAlone) {
  base::MemoryPressure memory;
  base::Limit limit = 1'600'000;
  limit.GiveWayTo(memory);
  memory.Set(true);
  obs::Metrics metrics;
  UnreadAnswers unread(limit, clock_, metrics);
  const auto first = unread.Admit(Make(500'000), "u", base::Shares::Claim::kFair);
  EXPECT_NE(first, nullptr);
  EXPECT_EQ(unread.Admit(Make(500'000), "u", base::Shares::Claim::kFair), nullptr);
}

TEST_F(UnreadAnswersTest, AnAnswerLargerThanAllRoomGoesOutAlone) {
  const auto small = Admit(Make(20'000));
  {
    const auto huge = Admit(Make(3'000'000));
    EXPECT_NE(huge, nullptr);
    EXPECT_EQ(Admit(Make(3'000'000)), nullptr);
    EXPECT_EQ(Admit(Make(70'000)), nullptr);
  }
  EXPECT_EQ(Bytes(), 20'000);
  const auto large = Admit(Make(70'000));
  EXPECT_EQ(Admit(Make(3'000'000)), nullptr);
}

}  // namespace
}  // namespace strata::serving
