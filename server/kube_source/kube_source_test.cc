#include "server/kube_source/kube_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <optional>

#include "server/kube_source/fixture_test.h"
#include "server/kube_source/object_record.h"

namespace strata::kube_source {
namespace {

using base::Revision;
using base::StatusCode;
using kube::Response;
using records::Kind;
using Strings = std::vector<std::string>;

// Has what it was told: each record's own revision, by its name.
class Holder final : public reflector::Consumer {
 public:
  void BeginList() override { next.emplace(); }
  void ListPage(const std::vector<records::Change>& page) override {
    for (const records::Change& change : page) (*next)[change.id.name] = change.revision;
  }
  void EndList(Revision at) override {
    have = *std::move(next);
    next.reset();
    revision = at;
  }
  void AbortList() override { next.reset(); }
  void Apply(const std::vector<reflector::Batch>& batches, Revision to) override {
    for (const reflector::Batch& batch : batches) {
      EXPECT_GT(batch.revision, revision) << "a history goes on";
      revision = batch.revision;
      for (const records::Change& change : batch.changes) {
        EXPECT_EQ(change.revision, batch.revision);
        if (change.state == records::Change::State::kDeleted) {
          have.erase(change.id.name);
        } else {
          have[change.id.name] = RecordOf(change.id.kind, change.object)->revision;
        }
      }
    }
    EXPECT_GE(to, revision);
    revision = to;
  }
  bool needs_list() override { return lost; }

  std::optional<std::map<std::string, Revision>> next;
  std::map<std::string, Revision> have;
  Revision revision = 0;
  bool lost = false;
};

using Have = std::map<std::string, Revision>;

class KubeSourceTest : public testing::Test {
 protected:
  using Pending = testing_support::FakeKube::Pending;
  struct Watches {
    Pending images, streams;
  };

  KubeSourceTest() { source.Start(); }

  // The oldest request with that in its path.
  Pending Take(const std::string& what) {
    for (auto at = kube->pending.begin(); at != kube->pending.end(); ++at) {
      if (at->request.path.find(what) == std::string::npos) continue;
      Pending taken = std::move(*at);
      kube->pending.erase(at);
      return taken;
    }
    ADD_FAILURE() << "nobody asks for " << what;
    return {};
  }
  void AnswerList(const std::string& resource, const std::string& revision,
                  const std::vector<Named>& objects) {
    auto list = Take(resource + "?watch=1&sendInitialEvents");
    std::string bytes;
    for (const Named& object : objects) bytes += Event("ADDED", object);
    const std::string kind = resource == "images" ? "Image" : "ImageStream";
    list.data(bytes + Bookmark(kind, revision, true));
    list.done(Response{200, ""});
  }
  // Time goes on until what a watch that was away has missed would have come.
  void CatchUp() { EXPECT_TRUE(kube->RunTaskOf(std::chrono::milliseconds(500))); }
  void Open(Pending& watch) {
    watch.data("");
    CatchUp();
  }
  // Answers the list that is asked for, at those revisions, and opens the watches.
  Watches Listed(const std::string& images, const std::string& streams) {
    AnswerList("images", images, {{"", "i", "1"}});
    AnswerList("imagestreams", streams, {{"n", "s", "2"}});
    Watches watches{
        Take("images?watch=1&allowWatchBookmarks=true&resourceVersion=" + images),
        Take("imagestreams?watch=1&allowWatchBookmarks=true&resourceVersion=" + streams)};
    Open(watches.images);
    Open(watches.streams);
    return watches;
  }
  Watches Begin() {
    kube->RunTask();
    return Listed("10", "12");
  }
  StatusCode Fresh() {
    return Outcome([&](auto done) { source.barrier().WaitFresh(Soon(), std::move(done)); });
  }
  StatusCode For(Revision revision) {
    return Outcome([&](auto done) { source.barrier().WaitFor(revision, Soon(), std::move(done)); });
  }
  base::MonotonicTime Soon() const { return clock.Now() + std::chrono::milliseconds(150); }
  StatusCode Outcome(const std::function<void(reflector::Barrier::Done)>& wait) {
    absl::Mutex mu;
    std::optional<StatusCode> code;
    wait([&](const base::StatusOr<Revision>& result) {
      absl::MutexLock lock(&mu);
      code = result.status().code();
    });
    absl::MutexLock lock(&mu);
    const auto told = [&] { return code.has_value(); };
    mu.Await(absl::Condition(&told));
    return *code;
  }
  void AnswerProbe(const base::StatusOr<Response>& answer) { Take("?limit=1").done(answer); }

  // The barrier's threads wait by it.
  class RunningClock final : public base::Clock {
   public:
    base::MonotonicTime Now() const override {
      thread_local bool early = false;
      const bool late = wavers && std::exchange(early, !early);
      return system.Now() + std::chrono::milliseconds(ms + (late ? 16'000 : 0));
    }
    base::WallTime WallNow() const override { return system.WallNow(); }
    void Advance(int64_t by) { ms += by; }
    base::SystemClock system;
    std::atomic<int64_t> ms = 0;
    std::atomic<bool> wavers = false;  // each thread's every other time is late
  } clock;
  obs::Metrics metrics;
  std::shared_ptr<testing_support::FakeKube> kube = std::make_shared<testing_support::FakeKube>();
  Holder holder;
  KubeSource source{kube, holder, {}, clock, obs::NullLogger(), metrics};
};

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

class Seeking : public KubeSourceTest {
 protected:
  // Seeks image j and answers with it as it is at `revision`.
  StatusCode SeekAt(const std::string& revision) {
    StatusCode code = StatusCode::kUnknown;
    source.Seek({{Kind::kImage, "", "j"}},
                [&](const base::StatusOr<bool>& found) { code = found.status().code(); });
    kube->RunTask();
    Take("images/j")
        .done(Response{200, testing_support::Envelope(Bytes({"", "j", revision}), "Image")});
    return code;
  }
};

TEST_F(Seeking, WhatIsReadByNameIsThereAtOnceAndNotTakenBack) {
  auto watches = Begin();
  kube->tasks.clear();
  EXPECT_EQ(SeekAt("20"), StatusCode::kOk);
  EXPECT_EQ(holder.have, (Have{{"i", 1}, {"j", 20}, {"s", 2}}));
  watches.images.data(Event("ADDED", {"", "j", "15"}) + Event("DELETED", {"", "j", "16"}) +
                      Event("ADDED", {"", "k", "17"}) + Event("ADDED", {"", "j", "20"}));
  EXPECT_EQ(holder.have, (Have{{"i", 1}, {"j", 20}, {"k", 17}, {"s", 2}}))
      << "what the watch brings of it is older";
  watches.images.data(Event("DELETED", {"", "j", "21"}));
  EXPECT_EQ(holder.have, (Have{{"i", 1}, {"k", 17}, {"s", 2}}));
}

TEST_F(Seeking, WhatTheWatchHasPassedIsNotBroughtBack) {
  auto watches = Begin();
  kube->tasks.clear();
  watches.images.data(Event("ADDED", {"", "j", "15"}) + Event("DELETED", {"", "j", "16"}));
  EXPECT_EQ(SeekAt("15"), StatusCode::kOk);
  EXPECT_EQ(holder.have, (Have{{"i", 1}, {"s", 2}}));
}

TEST_F(Seeking, WhatIsOfARevisionThatTheWatchIsWithinIsTaken) {
  auto watches = Begin();
  kube->tasks.clear();
  watches.images.data(Event("ADDED", {"", "k", "15"}));
  EXPECT_EQ(SeekAt("15"), StatusCode::kOk);
  EXPECT_EQ(holder.have, (Have{{"i", 1}, {"j", 15}, {"k", 15}, {"s", 2}}));
  watches.images.data(Event("DELETED", {"", "i", "15"}) + Event("ADDED", {"", "j", "15"}));
  EXPECT_EQ(holder.have, (Have{{"j", 15}, {"k", 15}, {"s", 2}}));
  EXPECT_EQ(holder.revision, 17) << "it was told once";
}

TEST_F(Seeking, NothingIsTakenWhileAWatchHasBeenAwayForLong) {
  auto watches = Begin();
  kube->tasks.clear();
  clock.Advance(26'000);
  EXPECT_EQ(SeekAt("20"), StatusCode::kUnavailable);
  EXPECT_EQ(holder.revision, 12);
}

TEST_F(Seeking, NothingIsTakenWhileAllIsListedAnew) {
  auto watches = Begin();
  kube->tasks.clear();
  watches.images.done(Response{410, ""});
  kube->tasks.clear();
  EXPECT_EQ(SeekAt("20"), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace strata::kube_source
