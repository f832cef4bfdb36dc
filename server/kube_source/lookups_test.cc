#include "server/kube_source/lookups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/kube_source/fixture_test.h"

namespace strata::kube_source {
namespace {

using base::StatusCode;
using kube::Response;
using records::Kind;

records::Id Image(const std::string& name) {
  return {Kind::kImage, "", name};
}

Response Found(const Named& object) {
  return {200, testing_support::Envelope(Bytes(object), KindOf(object))};
}

// Of one letter each.
std::vector<records::Id> Images(const std::string& names) {
  std::vector<records::Id> ids;
  for (const char name : names) ids.push_back(Image(std::string(1, name)));
  return ids;
}

class LookupsTest : public testing::Test {
 protected:
  // What became of it; nothing yet if that is empty.
  std::shared_ptr<std::vector<StatusCode>> Seek(const std::vector<records::Id>& ids,
                                                const std::string& user = "many") {
    auto ends = std::make_shared<std::vector<StatusCode>>();
    lookups.Seek(ids, user, [ends, this](const base::StatusOr<bool>& result) {
      ends->push_back(result.status().code());
      EXPECT_TRUE(!result.ok() || *result == !found.empty());
    });
    return ends;
  }
  using Codes = std::vector<StatusCode>;
  // The names that are asked for, the oldest first.
  std::string Asked() const {
    std::string names;
    for (const auto& one : kube.pending)
      names += one.request.path.substr(one.request.path.rfind('/') + 1);
    return names;
  }
  void AnswerAbsent() {
    const std::string path = kube.pending.front().request.path;
    kube.Answer(Absent(path.substr(path.rfind('/') + 1)));
  }

  base::FakeClock clock;
  std::vector<std::string> lines;
  const obs::Logger log{obs::LogFormat::kText, 0, clock,
                        [this](std::string_view line) { lines.emplace_back(line); }};
  obs::Metrics metrics;
  testing_support::FakeKube kube;
  std::vector<std::string> found;
  base::Status verdict;
  Lookups lookups{kube,
                  {.most_in_flight = 3, .most_waiting = 8, .most_absent_bytes = 20'000},
                  [this](const records::Change& record) {
                    found.push_back(record.id.name + "@" + std::to_string(record.revision));
                    return verdict;
                  },
                  clock,
                  log,
                  metrics};
};

TEST_F(LookupsTest, WhatIsFoundIsHandedOnBeforeTheSeekerIsTold) {
  const auto end = Seek({Image("sha256:a"), {Kind::kImageStream, "n", "s"}});
  EXPECT_EQ(kube.pending[0].request.path, "/apis/image.openshift.io/v1/images/sha256%3Aa");
  kube.Answer(Found({"", "sha256:a", "7"}));
  EXPECT_TRUE(end->empty());
  kube.Answer(Found({"n", "s", "8"}));
  EXPECT_EQ(*end, Codes{StatusCode::kOk});
  EXPECT_EQ(found, (std::vector<std::string>{"sha256:a@7", "s@8"}));
}

TEST_F(LookupsTest, ANameIsAskedForOnceWhoeverSeeksIt) {
  const auto one = Seek({Image("a"), Image("a")}), other = Seek({Image("a")});
  EXPECT_EQ(kube.pending.size(), 1u);
  kube.Answer(Absent("a"));
  EXPECT_EQ(*one, Codes{StatusCode::kOk});
  EXPECT_EQ(*other, Codes{StatusCode::kOk});
  EXPECT_TRUE(found.empty());
}

TEST_F(LookupsTest, ThatThereIsNoneIsBelievedForASecondFromWhenItWasAsked) {
  Seek({Image("a")});
  clock.Advance(std::chrono::milliseconds(600));
  kube.Answer(Absent("a"));
  clock.Advance(std::chrono::milliseconds(399));
  EXPECT_EQ(*Seek({Image("a")}), Codes{StatusCode::kOk});
  clock.Advance(std::chrono::milliseconds(1));
  EXPECT_TRUE(Seek({Image("a")})->empty());
  EXPECT_EQ(kube.pending.size(), 1u);
}

TEST_F(LookupsTest, NamesThatThereAreNotAreForgottenInTime) {
  const auto known = [this] {
    const std::string text = metrics.Text(), name = "\nstrata_source_absent_names ";
    return text.substr(text.find(name) + name.size(), 2);
  };
  Seek({Image("a"), Image("b")});
  kube.Answer(Absent("a"));
  kube.Answer(Absent("b"));
  EXPECT_EQ(known(), "2\n");
  EXPECT_EQ(kube.RunTask(), std::chrono::seconds(1));
  EXPECT_EQ(known(), "2\n") << "they may have come just before";
  kube.RunTask();
  EXPECT_EQ(known(), "0\n");
  EXPECT_TRUE(kube.tasks.empty());
}

TEST_F(LookupsTest, NamesThatThereAreNotTakeSoManyBytes) {
  const auto name = [](int i) { return std::to_string(i) + std::string(900, 'x'); };
  const auto is_known = [&](int i) { return Seek({Image(name(i))})->size() == 1; };
  for (int i = 0; i < 30; ++i) {
    Seek({Image(name(i))});
    kube.Answer(Absent(name(i)));
  }
  for (int i = 20; i < 30; ++i) EXPECT_TRUE(is_known(i)) << i;
  EXPECT_FALSE(is_known(0));
}

TEST_F(LookupsTest, AnAnswerThatIsTooOldForASeekerIsNotTakenForHim) {
  const auto first = Seek({Image("a")});
  clock.Advance(std::chrono::milliseconds(999));
  const auto joins = Seek({Image("a")});
  clock.Advance(std::chrono::milliseconds(501));
  const auto later = Seek({Image("a")}), with_him = Seek({Image("a")});
  EXPECT_EQ(kube.pending.size(), 1u) << "one at a time";
  kube.Answer(Absent("a"));
  EXPECT_EQ(*first, Codes{StatusCode::kOk});
  EXPECT_EQ(*joins, Codes{StatusCode::kOk});
  EXPECT_TRUE(later->empty());
  ASSERT_EQ(kube.pending.size(), 1u);
  kube.Answer(Found({"", "a", "7"}));
  EXPECT_EQ(*later, Codes{StatusCode::kOk});
  EXPECT_EQ(*with_him, Codes{StatusCode::kOk});
  EXPECT_EQ(found, std::vector<std::string>{"a@7"});
  EXPECT_TRUE(kube.pending.empty());
}

TEST_F(LookupsTest, WhoSeeksMuchLeavesAPlaceAndRoomForOthers) {
  const auto all = Seek(Images("abcd")), more = Seek(Images("ef"));
  EXPECT_EQ(Asked(), "ab");
  EXPECT_EQ(*Seek(Images("g")), Codes{StatusCode::kResourceExhausted});
  EXPECT_THAT(metrics.Text(),
              testing::HasSubstr("strata_source_lookups_total{result=\"rejected\"} 1\n"));
  EXPECT_TRUE(Seek(Images("f"))->empty()) << "which waits already";
  const auto one = Seek(Images("x"), "few");
  EXPECT_EQ(Asked(), "abx");
  while (!kube.pending.empty()) AnswerAbsent();
  for (const auto& end : {all, more, one}) EXPECT_EQ(*end, Codes{StatusCode::kOk});
}

TEST_F(LookupsTest, UsersTakeTurns) {
  Seek(Images("abcd"));
  Seek(Images("xyz"), "few");
  EXPECT_EQ(Asked(), "abx");
  AnswerAbsent();
  EXPECT_EQ(Asked(), "bxc");
  AnswerAbsent();
  EXPECT_EQ(Asked(), "xcy");
  AnswerAbsent();
  EXPECT_EQ(Asked(), "cyd");
}

TEST_F(LookupsTest, ANameThatSeveralSeekGoesInTheFirstTurnOfOneOfThem) {
  const auto many = Seek(Images("abcd"));
  clock.Advance(std::chrono::milliseconds(2'999));
  const auto few = Seek(Images("d"), "few");
  EXPECT_EQ(Asked(), "abd");
  while (!kube.pending.empty()) AnswerAbsent();
  EXPECT_EQ(*few, Codes{StatusCode::kOk});
  EXPECT_EQ(*many, Codes{StatusCode::kOk});
}

// All that may wait does then.
TEST_F(LookupsTest, WhoFindsNoRoomGoesWithWhoHadIt) {
  Seek(Images("abcd"));
  Seek(Images("ef"));
  Seek(Images("uvw"), "some");
  Seek(Images("x"), "few");
  Seek(Images("y"), "one");
  const auto with = Seek(Images("f"), "another");
  EXPECT_TRUE(with->empty());
  EXPECT_EQ(*Seek(Images("z"), "another"), Codes{StatusCode::kResourceExhausted});
  while (!kube.pending.empty()) AnswerAbsent();
  EXPECT_EQ(*with, Codes{StatusCode::kOk});
}

TEST_F(LookupsTest, WhoWaitsForTheNextAnswerFindsRoomOrIsRefused) {
  Seek(Images("a"));
  clock.Advance(std::chrono::seconds(1));
  const auto later = Seek(Images("a"));
  Seek(Images("bcd"));
  Seek(Images("ef"));
  EXPECT_TRUE(later->empty());
  AnswerAbsent();
  EXPECT_EQ(*later, Codes{StatusCode::kResourceExhausted});
}

TEST_F(LookupsTest, WhatHasWaitedTooLongIsNotAskedFor) {
  const auto end = Seek({Image("a"), Image("b"), Image("c")});
  clock.Advance(std::chrono::milliseconds(3'001));
  kube.Answer(base::DeadlineExceededError("late"));
  kube.Answer(Absent("b"));
  EXPECT_EQ(*end, Codes{StatusCode::kDeadlineExceeded});
  EXPECT_TRUE(kube.pending.empty());
}

// An Api that takes no more, as one that is stopped.
class StoppedKube final : public kube::Api {
 public:
  void Send(kube::Request, Done done) override { done(base::CancelledError("stopped")); }
  void Stream(kube::Request, Data, Done done) override { done(base::CancelledError("stopped")); }
  void RunAfter(std::chrono::milliseconds, std::function<void()>) override {}
  void Stop() override {}
};

TEST_F(LookupsTest, AnswersThatComeAtOnceAreNotNested) {
  constexpr size_t kMany = 100'000;
  StoppedKube stopped;
  Lookups many{
      stopped, {.most_in_flight = 2, .most_waiting = 2 * kMany}, {}, clock, obs::NullLogger(),
      metrics};
  std::vector<records::Id> ids;
  for (size_t i = 0; i < kMany; ++i) ids.push_back(Image(std::to_string(i)));
  StatusCode end = StatusCode::kOk;
  many.Seek(ids, "many", [&](const base::StatusOr<bool>& result) { end = result.status().code(); });
  EXPECT_EQ(end, StatusCode::kCancelled);
}

TEST_F(LookupsTest, WhatCannotBeANameIsNotAskedFor) {
  EXPECT_EQ(*Seek({Image(".."), Image(""), Image("a/b"), {Kind::kImageStream, "", "s"}}),
            Codes{StatusCode::kOk});
  EXPECT_TRUE(kube.pending.empty());
}

TEST_F(LookupsTest, WhyNothingCanBeReadIsSaidOnceAndAgainAfterAWhile) {
  const auto fail = [&](const std::string& name, const base::StatusOr<Response>& answer) {
    Seek({Image(name)});
    kube.Answer(answer);
  };
  fail("sha256:a", Response{403, ""});
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], testing::HasSubstr("needs get of images"));
  EXPECT_THAT(lines[0], testing::HasSubstr("/images/sha256%3Aa"));
  fail("b", Response{403, ""});
  EXPECT_EQ(lines.size(), 1u);
  fail("b", base::UnavailableError("connection refused"));
  EXPECT_EQ(lines.size(), 2u);
  clock.Advance(std::chrono::minutes(10));
  fail("b", Response{403, ""});
  EXPECT_EQ(lines.size(), 3u);
  fail("c", base::CancelledError("stopping"));
  fail("c", Absent("c"));
  EXPECT_EQ(lines.size(), 3u);
}

TEST_F(LookupsTest, AnAnswerThatTellsNeitherIsAnError) {
  const std::pair<base::StatusOr<Response>, StatusCode> answers[] = {
      {base::UnavailableError("connection refused"), StatusCode::kUnavailable},
      {base::DeadlineExceededError("late"), StatusCode::kDeadlineExceeded},
      {Response{403, ""}, StatusCode::kPermissionDenied},
      {Response{503, ""}, StatusCode::kUnavailable},
      {Response{404, "404 page not found"}, StatusCode::kUnavailable},
      {Absent(""), StatusCode::kUnavailable},
      {Response{200, "{}"}, StatusCode::kDataLoss},
      {Found({"", "b", "7"}), StatusCode::kDataLoss},
      {Found({"n", "a", "7"}), StatusCode::kDataLoss},
      {Found({"", "a", "x"}), StatusCode::kDataLoss},
  };
  for (const auto& [answer, code] : answers) {
    const auto end = Seek({Image("a")});
    kube.Answer(answer);
    EXPECT_EQ(*end, Codes{code});
  }
  EXPECT_TRUE(found.empty());
  verdict = base::UnavailableError("the records are listed anew");
  const auto end = Seek({Image("a")});
  kube.Answer(Found({"", "a", "7"}));
  EXPECT_EQ(*end, Codes{StatusCode::kUnavailable});
}

}  // namespace
}  // namespace strata::kube_source
