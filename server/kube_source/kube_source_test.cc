#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "server/kube_source/source_fixture_test.h"

namespace strata::kube_source {
namespace {

TEST_F(KubeSourceTest, BothResourcesAreListedAndThenWatched) {
  EXPECT_FALSE(source.synced());
  EXPECT_EQ(Fresh(), StatusCode::kFailedPrecondition);
  auto watches = Begin();
  EXPECT_TRUE(source.synced());
  EXPECT_TRUE(source.connection().ok());
  EXPECT_EQ(holder.have, (Have{{"i", 1}, {"s", 2}}));
  EXPECT_EQ(holder.revision, 12);
  EXPECT_EQ(Fresh(), StatusCode::kOk);
  watches.images.data(Event("ADDED", {"", "j", "15"}) + Event("DELETED", {"", "i", "16"}));
  watches.streams.data(Event("MODIFIED", {"n", "s", "17"}));
  EXPECT_EQ(holder.have, (Have{{"j", 15}, {"s", 17}}));
  EXPECT_EQ(holder.revision, 17);
}

TEST_F(KubeSourceTest, ChangesOfTheSlowerWatchComeBehindThoseOfTheOther) {
  auto watches = Begin();
  watches.streams.data(Event("MODIFIED", {"n", "s", "20"}));
  watches.images.data(Event("ADDED", {"", "j", "19"}) + Event("ADDED", {"", "k", "20"}) +
                      Event("ADDED", {"", "l", "30"}));
  EXPECT_EQ(holder.have, (Have{{"i", 1}, {"j", 19}, {"k", 20}, {"l", 30}, {"s", 20}}))
      << "they keep their own revisions";
  EXPECT_EQ(holder.revision, 30);
}

TEST_F(KubeSourceTest, ARevisionThatIsNamedNeedsBothWatches) {
  auto watches = Begin();
  EXPECT_EQ(For(10), StatusCode::kOk);
  EXPECT_EQ(For(11), StatusCode::kOutOfRange) << "an image of revision 11 may still come";
  watches.streams.data(Event("MODIFIED", {"n", "s", "20"}));
  EXPECT_EQ(For(20), StatusCode::kOutOfRange);
  watches.images.data(Bookmark("Image", "25"));
  EXPECT_EQ(For(20), StatusCode::kOk);
  EXPECT_EQ(For(21), StatusCode::kOutOfRange);
}

TEST_F(KubeSourceTest, WhileAWatchIsAwayNothingIsSaidToBeFresh) {
  auto watches = Begin();
  watches.images.done(base::UnavailableError("reset"));
  EXPECT_EQ(source.connection().code(), StatusCode::kUnavailable);
  EXPECT_EQ(Fresh(), StatusCode::kDeadlineExceeded);
  while (!kube->tasks.empty()) kube->RunTask();
  auto again = Take("images?watch=1&allowWatchBookmarks=true&resourceVersion=10");
  again.data("");
  EXPECT_EQ(Fresh(), StatusCode::kDeadlineExceeded) << "what it missed comes behind the head";
  again.data(Event("MODIFIED", {"", "i", "11"}));
  EXPECT_EQ(Fresh(), StatusCode::kDeadlineExceeded) << "and so may more";
  CatchUp();
  EXPECT_TRUE(source.connection().ok());
  EXPECT_EQ(Fresh(), StatusCode::kOk);
  EXPECT_EQ(holder.have, (Have{{"i", 11}, {"s", 2}}));
  EXPECT_EQ(kube->pending.size(), 1u) << "the probe: nothing is listed anew";
}

// Clients would go on elsewhere behind what they were told last, and miss what came before it.
TEST_F(KubeSourceTest, WhatComesWhileTheOtherWatchIsAwayForLongIsToldBehindIt) {
  auto watches = Begin();
  watches.images.done(base::UnavailableError("reset"));
  clock.Advance(15'000);
  watches.streams.data(Event("MODIFIED", {"n", "s", "20"}));
  EXPECT_EQ(holder.revision, 20);
  clock.Advance(15'000);
  watches.streams.data(Event("MODIFIED", {"n", "s", "30"}));
  EXPECT_EQ(holder.revision, 20);
  EXPECT_FALSE(watches.streams.data(Event("MODIFIED", {"n", "s", "31"})));
  clock.Advance(30'000);
  kube->RunTask();
  auto images = Take("images?watch=1&allowWatchBookmarks=true&resourceVersion=10&");
  images.data("");
  EXPECT_EQ(holder.revision, 20) << "what the watch has missed comes behind the head";
  images.data(Event("ADDED", {"", "j", "19"}));
  EXPECT_EQ(holder.have, (Have{{"i", 1}, {"j", 19}, {"s", 20}}));
  CatchUp();
  EXPECT_EQ(holder.have, (Have{{"i", 1}, {"j", 19}, {"s", 30}}));
  images.data(Event("ADDED", {"", "k", "32"}));
  EXPECT_EQ(holder.revision, 32) << "streams aren't late: they were held";
  auto streams = Take("imagestreams?watch=1&allowWatchBookmarks=true&resourceVersion=29&");
  Open(streams);
  streams.data(Event("MODIFIED", {"n", "s", "30"}) + Event("MODIFIED", {"n", "s", "31"}));
  EXPECT_EQ(holder.have, (Have{{"i", 1}, {"j", 19}, {"k", 32}, {"s", 31}}));
}

TEST_F(KubeSourceTest, AWatchBeginsBeforeWhatOneThatHungMayHaveBroughtLate) {
  auto watches = Begin();
  for (const char* revision : {"20", "30", "40"}) {
    clock.Advance(20'000);
    watches.images.data(Bookmark("Image", revision));
    watches.streams.data(Bookmark("ImageStream", revision));
  }
  EXPECT_EQ(holder.revision, 40);
  EXPECT_EQ(source.barrier().StartOf(40), 12) << "20 came 40 s ago, 30 within 30 s";
}

TEST_F(KubeSourceTest, WhatIsForgottenIsListedAnewAndServedMeanwhile) {
  auto watches = Begin();
  watches.images.data(testing_support::ErrorFrame(410, "too old resource version"));
  watches.images.done(Response{200, ""});
  EXPECT_EQ(base::Message(source.connection()), "too old resource version");
  EXPECT_EQ(holder.have, (Have{{"i", 1}, {"s", 2}}));
  EXPECT_FALSE(watches.streams.data(Event("ADDED", {"n", "t", "13"}))) << "it is in the list";
  while (!kube->tasks.empty()) kube->RunTask();
  AnswerList("images", "30", {});
  AnswerList("imagestreams", "31", {{"n", "t", "13"}});
  EXPECT_EQ(holder.have, (Have{{"t", 13}}));
  EXPECT_EQ(holder.revision, 31);
  EXPECT_EQ(For(30), StatusCode::kOk);
}

TEST_F(KubeSourceTest, WhoWaitsForAListIsAnsweredOnceItsWatchesHaveCaughtUp) {
  auto watches = Begin();
  watches.images.done(Response{410, ""});
  while (!kube->tasks.empty()) kube->RunTask();
  AnswerList("images", "20", {});
  std::promise<StatusCode> end;
  source.barrier().WaitFresh(
      clock.Now() + std::chrono::hours(1),
      [&](const base::StatusOr<Revision>& fresh) { end.set_value(fresh.status().code()); });
  EXPECT_EQ(Fresh(), StatusCode::kDeadlineExceeded);
  auto told = end.get_future();
  AnswerList("imagestreams", "30", {});
  EXPECT_EQ(told.wait_for(std::chrono::seconds(0)), std::future_status::timeout)
      << "an image of revision 21 may be there since";
  auto images = Take("images?watch=1"), streams = Take("imagestreams?watch=1");
  images.data("");
  streams.data("");
  EXPECT_EQ(told.wait_for(std::chrono::seconds(0)), std::future_status::timeout)
      << "it comes behind the head";
  images.data(Event("ADDED", {"", "j", "21"}));
  CatchUp();
  CatchUp();
  EXPECT_EQ(told.get(), StatusCode::kOk);
  EXPECT_EQ(holder.have, (Have{{"j", 21}}));
}

TEST_F(KubeSourceTest, AListThatBringsSomethingElseIsAnotherRevision) {
  auto watches = Begin();
  watches.images.done(Response{410, ""});
  while (!kube->tasks.empty()) kube->RunTask();
  AnswerList("images", "12", {});
  AnswerList("imagestreams", "12", {});
  EXPECT_EQ(holder.revision, 13);
}

TEST_F(KubeSourceTest, AListThatFailsIsBegunAgainLater) {
  kube->RunTask();
  auto list = Take("images?");
  list.done(base::UnavailableError("connection refused"));
  EXPECT_FALSE(holder.next.has_value());
  EXPECT_EQ(base::Message(source.connection()), "connection refused");
  EXPECT_GE(kube->RunTask(), std::chrono::milliseconds(400));
  Listed("10", "12");
  EXPECT_TRUE(source.synced());
}

TEST_F(KubeSourceTest, AConsumerThatLostWhatItHadGetsAListThoughNothingChanges) {
  auto watches = Begin();
  holder.lost = true;
  AnswerProbe(ListOf("ImageStream", {}, "12"));
  holder.lost = false;
  while (!kube->tasks.empty()) kube->RunTask();
  Listed("20", "20");
  EXPECT_EQ(holder.have, (Have{{"i", 1}, {"s", 2}}));
}

TEST_F(KubeSourceTest, AnApiServerThatGivesNoSignOfLifeIsNotBelievedToTellAll) {
  auto watches = Begin();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Fresh(), StatusCode::kOk);
    clock.Advance(10'000);
    AnswerProbe(base::DeadlineExceededError("late"));
    EXPECT_FALSE(source.connection().ok());
    kube->RunTask();
    if (i == 1) break;
  }
  EXPECT_EQ(Fresh(), StatusCode::kDeadlineExceeded);
  AnswerProbe(ListOf("ImageStream", {}, "12"));
  EXPECT_TRUE(source.connection().ok());
  EXPECT_EQ(Fresh(), StatusCode::kOk);
}

TEST_F(KubeSourceTest, WhoFindsItSilentJustWhenASignOfLifeComesHoldsNobodyUp) {
  auto watches = Begin();
  clock.wavers = true;
  for (int i = 0; i < 20 && !kube->has_task(); ++i) Fresh();
  clock.wavers = false;
  ASSERT_TRUE(kube->has_task());
  kube->RunTask();
  EXPECT_EQ(Fresh(), StatusCode::kOk);
}

TEST_F(KubeSourceTest, AnApiServerThatIsBackIsWatchedAtOnce) {
  auto watches = Begin();
  watches.images.done(base::UnavailableError("refused"));
  auto in_time = std::move(kube->tasks.front().second);
  kube->tasks.clear();
  AnswerProbe(base::UnavailableError("refused"));
  kube->RunTask();
  AnswerProbe(ListOf("ImageStream", {}, "12"));
  auto again = Take("images?watch=1&allowWatchBookmarks=true&resourceVersion=10&");
  Open(again);
  EXPECT_EQ(Fresh(), StatusCode::kOk);
  in_time();
  EXPECT_TRUE(kube->pending.empty()) << "it is open";
}

TEST_F(KubeSourceTest, AnApiServerThatIsBackIsListedAtOnce) {
  kube->RunTask();
  Take("images?").done(base::UnavailableError("refused"));
  auto in_time = std::move(kube->tasks.front().second);
  kube->tasks.clear();
  AnswerProbe(base::UnavailableError("refused"));
  kube->RunTask();
  AnswerProbe(ListOf("ImageStream", {}, "12"));
  Listed("10", "12");
  in_time();
  EXPECT_TRUE(kube->pending.empty());
  EXPECT_TRUE(source.synced());
}

TEST_F(KubeSourceTest, NothingIsBelievedToBeNewWhileTheThreadThatWouldHearOfItIsHeldUp) {
  auto watches = Begin();
  EXPECT_EQ(Fresh(), StatusCode::kOk);
  clock.Advance(15'001);
  EXPECT_EQ(Fresh(), StatusCode::kDeadlineExceeded);
  AnswerProbe(ListOf("ImageStream", {}, "12"));
  EXPECT_EQ(Fresh(), StatusCode::kDeadlineExceeded) << "that was asked before";
  kube->RunTask();
  AnswerProbe(ListOf("ImageStream", {}, "12"));
  EXPECT_EQ(Fresh(), StatusCode::kOk);
}

TEST_F(KubeSourceTest, AnApiServerThatWasPutBackIsListedAnew) {
  auto watches = Begin();
  AnswerProbe(ListOf("ImageStream", {}, "11"));
  EXPECT_TRUE(source.connection().ok()) << "that was asked before the list";
  kube->RunTask();
  AnswerProbe(ListOf("ImageStream", {}, "11"));
  while (!kube->tasks.empty()) kube->RunTask();
  AnswerList("images", "5", {});
  AnswerList("imagestreams", "6", {});
  EXPECT_EQ(holder.revision, 6);
  EXPECT_TRUE(holder.have.empty());
}

}  // namespace
}  // namespace strata::kube_source
