#include "server/objects/watch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <random>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/objects/watch_fixture_test.h"

namespace strata::objects {
namespace {

TEST_F(WatchTest, WhatComesBehindARevisionIsToldInOrder) {
  StartHub();
  const auto client = Open(From(history_.revision()));
  history_.Put("a", "x");
  history_.Put("b", "x");
  history_.Put("a", "x");
  history_.Delete("a", "x");
  Tell();
  EXPECT_EQ(client->Await(4),
            (Frames{"ADDED a/x@2", "ADDED b/x@3", "MODIFIED a/x@4", "DELETED a/x@5"}));
}

TEST_F(WatchTest, WhatThereIsComesFirstAndABookmarkEndsItIfThatIsAsked) {
  history_.Put("b", "x");
  history_.Put("a", "x");
  StartHub();
  WatchRequest request = From(history_.revision(), /*initial=*/true);
  request.initial_events_end = request.bookmarks = true;
  const auto client = Open(request);
  EXPECT_EQ(client->Await(3), (Frames{"ADDED a/x@3", "ADDED b/x@2", "BOOKMARK default/@3 end"}));
  history_.Put("a", "x");
  Tell();
  EXPECT_EQ(client->Await(4).back(), "MODIFIED a/x@4");
}

TEST_F(WatchTest, AnOldRevisionIsReadFromTheHistoryAndOneThatIsGoneIsAnError) {
  history_.Put("a", "x");
  history_.Put("a", "x");
  history_.Put("a", "x");
  StartHub();
  EXPECT_EQ(Open(From(2))->Await(2), (Frames{"MODIFIED a/x@3", "MODIFIED a/x@4"}));
  history_.Forget(3);
  const auto late = Open(From(2));
  EXPECT_TRUE(late->AwaitEnd());
  EXPECT_EQ(late->Await(1), (Frames{"ERROR too old resource version: 2 (3)"}));
}

TEST_F(WatchTest, ARevisionToComeIsWaitedForInSilence) {
  StartHub();
  const auto client = Open(From(3));
  for (const char* name : {"x", "y", "z"}) history_.Put("a", name);
  Tell();
  EXPECT_EQ(client->Await(1), (Frames{"ADDED a/z@4"}));
}

TEST_F(WatchTest, WhoSelectsSeesObjectsComeAndGo) {
  StartHub();
  WatchRequest request = From(history_.revision());
  request.query.selector = Labelled("sel=yes");
  const auto client = Open(request);
  history_.Put("a", "x");
  history_.Put("a", "x", {{"sel", "yes"}});
  history_.Put("a", "x", {{"sel", "yes"}, {"more", ""}});
  history_.Put("a", "x");
  history_.Delete("a", "x");
  history_.Put("a", "y", {{"sel", "yes"}});
  history_.Delete("a", "y");
  Tell();
  EXPECT_EQ(client->Await(5), (Frames{"ADDED a/x@3", "MODIFIED a/x@4", "DELETED a/x@5",
                                      "ADDED a/y@7", "DELETED a/y@8"}));
}

TEST_F(WatchTest, ARecordThatCantBeReadAnyMoreIsGoneAsInLists) {
  StartHub();
  const auto client = Open(From(history_.revision()));
  history_.Put("a", "x");
  history_.Spoil("a", "x");
  history_.Put("a", "x");
  Tell();
  EXPECT_EQ(client->Await(3), (Frames{"ADDED a/x@2", "DELETED a/x@3", "ADDED a/x@4"}));
}

TEST_F(WatchTest, ItEndsInTimeWithABookmarkBefore) {
  history_.Put("a", "x");
  StartHub();
  WatchRequest request = From(history_.revision());
  request.bookmarks = true;
  request.end = clock_.Now() + 4s;
  const auto client = Open(request);
  EXPECT_TRUE(client->AwaitEnd());
  EXPECT_EQ(client->Await(1), (Frames{"BOOKMARK default/@2"}));
}

TEST_F(WatchTest, ARevisionToComeHasNoBookmark) {
  StartHub();
  WatchRequest request = From(1'000);
  request.bookmarks = true;
  request.end = clock_.Now() + 2'200ms;
  const auto client = Open(request);
  EXPECT_TRUE(client->AwaitEnd());
  EXPECT_EQ(client->Await(0), Frames());
}

TEST_F(WatchTest, AHistoryThatBreaksOffEndsWatchesAndOneThatGoesOnDoesnt) {
  history_.Put("a", "x");
  StartHub();
  const auto client = Open(From(history_.revision()));
  hub_->EndList(history_.revision());  // the same records
  history_.Put("a", "x");
  Tell();
  EXPECT_EQ(client->Await(1), (Frames{"MODIFIED a/x@3"}));
  history_.Put("a", "x");
  history_.Forget(history_.revision());
  hub_->EndList(history_.revision());
  EXPECT_TRUE(client->AwaitEnd());
  EXPECT_EQ(client->Await(1), (Frames{"MODIFIED a/x@3"}));
}

TEST_F(WatchTest, AnotherHistoryAtTheSameRevisionEndsWatches) {
  history_.Put("a", "x");
  StartHub();
  const auto client = Open(From(history_.revision()));
  history_.Forget(history_.oldest());
  hub_->EndList(history_.revision());
  EXPECT_TRUE(client->AwaitEnd());
}

TEST_F(WatchTest, ADrainEndsThoseThatAreOpenAndThoseThatCome) {
  StartHub();
  const auto client = Open(From(history_.revision()));
  hub_->EndWatches();
  EXPECT_TRUE(client->AwaitEnd());
  EXPECT_TRUE(Open(From(history_.revision()))->AwaitEnd());
}

TEST_F(WatchTest, OfARevisionNothingIsLostToWhoTakesWhileItIsRead) {
  StartHub(/*cache_bytes=*/20'000);
  std::counting_semaphore woken(0);
  const auto watch = std::make_shared<Watch>(*hub_, kinds_.streams, From(history_.revision()),
                                             [&] { woken.release(); });
  watch->Begin();
  std::string out;
  ASSERT_EQ(watch->Take(out), Watch::Next::kWait);
  Frames frames, expected;
  history_.Before(2, [&] {
    watch->Take(out);
    frames = FramesOf(out);
  });
  std::vector<std::string> names;
  for (int i = 0; i < 300; ++i) {
    names.push_back("x" + std::to_string(i));
    expected.push_back("ADDED a/" + names.back() + "@2");
  }
  history_.PutAll("a", names);
  Tell();
  ASSERT_TRUE(woken.try_acquire_for(20s));
  std::ranges::move(TakeAll(*watch), std::back_inserter(frames));
  EXPECT_EQ(frames, expected);
}

TEST_F(WatchTest, WhoNamesARevisionOfSeveralEventsIsToldThemAgain) {
  StartHub();
  const auto open = Open(From(history_.revision()));
  history_.Put("a", "x");
  const base::Revision named = history_.PutAll("a", {"x", "y", "z"});
  Tell();
  Frames expected{"MODIFIED a/x@3", "ADDED a/y@3", "ADDED a/z@3"};
  open->Await(4);
  EXPECT_EQ(Open(From(named))->Await(3), expected);  // of the scope
  WatchRequest request = From(named);
  request.query.ns = "a";
  const auto client = Open(request);
  EXPECT_EQ(client->Await(3), expected);  // of the history
  history_.Put("a", "x");
  Tell();
  expected.push_back("MODIFIED a/x@4");
  EXPECT_EQ(client->Await(4), expected);
}

TEST_F(WatchTest, WhoNamesARevisionToComeIsToldItsSeveralEvents) {
  StartHub();
  const auto client = Open(From(history_.revision() + 1));
  history_.PutAll("a", {"x", "y"});
  Tell();
  EXPECT_EQ(client->Await(2), (Frames{"ADDED a/x@2", "ADDED a/y@2"}));
}

TEST_F(WatchTest, WhoNamesARevisionOfOneEventThatHeMaySeeIsNotToldItAgain) {
  StartHub();
  history_.PutAll("a", {"x", "y"});
  Tell();
  WatchRequest request = From(history_.revision());
  request.query.selector = {{}, {"metadata.name", "y"}, registry::ImageStreams()};
  const auto client = Open(request);
  history_.Put("a", "y");
  Tell();
  EXPECT_EQ(client->Await(1), (Frames{"MODIFIED a/y@3"}));
}

TEST_F(WatchTest, WhoBeginsNowIsNotToldWhatWas) {
  StartHub();
  history_.PutAll("a", {"x", "y"});
  Tell();
  WatchRequest request = From(history_.revision());
  request.resumes = false;
  const auto client = Open(request);
  history_.Put("a", "y");
  Tell();
  EXPECT_EQ(client->Await(1), (Frames{"MODIFIED a/y@3"}));
}

TEST_F(WatchTest, ARevisionOfTheHistoryGoesOutInPartsHoweverLargeItIs) {
  Frames expected = PutMany(200, 100'000);
  history_.Put("a", "y");
  expected.push_back("ADDED a/y@3");
  StartHub(/*cache_bytes=*/64 << 20, /*buffer_bytes=*/8 << 20);
  const auto watch = std::make_shared<Watch>(*hub_, kinds_.streams, From(1), [] {});
  watch->Begin();
  watch->Work();
  EXPECT_LT(history_.told(), 20u) << "so much at once";
  // Who names it himself may have been told some of it, and is told all of it again.
  for (const base::Revision named : {1, 2}) EXPECT_EQ(Open(From(named))->Await(201), expected);
}

TEST_F(WatchTest, WhoIsGoneReadsNoFurther) {
  history_.PutAll("a", {"x", "y", "z"});
  StartHub();
  const auto watch = std::make_shared<Watch>(*hub_, kinds_.streams, From(1), [] {});
  watch->Begin();
  std::string out;
  ASSERT_EQ(watch->Take(out), Watch::Next::kWork);
  history_.Before(1, [&] { watch->Stop(); });
  watch->Work();
  EXPECT_EQ(history_.told(), 1u);
  EXPECT_EQ(watch->Take(out), Watch::Next::kFrames) << "what was made by then";
  EXPECT_EQ(watch->Take(out), Watch::Next::kEnd);
}

// A watch of one object, to which nothing happens until all that it began with is forgotten.
class QuietWatch : public WatchTest {
 protected:
  void SetUp() override {
    history_.Put("a", "z");
    StartHub(/*cache_bytes=*/20'000);
    other_ = std::make_shared<Watch>(*hub_, kinds_.streams, From(history_.revision()), [] {});
    WatchRequest request = From(history_.revision());
    request.query.ns = "a";
    request.query.name = "z";
    quiet_ = std::make_shared<Watch>(*hub_, kinds_.streams, request, [this] { woken_.release(); });
    quiet_->Begin();
    EXPECT_EQ(TakeAll(*quiet_), Frames());
    PutMany(5, 0);
    TellAndAwait();
    history_.Forget(history_.revision());
  }
  // In a revision that has no room for it.
  void PutInALargeRevision() {
    history_.PutAll("a", {"big", "z"}, {}, 25'000);
    TellAndAwait();
  }

  std::counting_semaphore<> woken_{0};
  std::shared_ptr<Watch> quiet_, other_;
};

TEST_F(QuietWatch, IsToldWhatThereWasNoRoomFor) {
  PutInALargeRevision();
  ASSERT_TRUE(woken_.try_acquire_for(20s));
  EXPECT_EQ(TakeAll(*quiet_), (Frames{"MODIFIED a/z@4"}));
}

TEST_F(QuietWatch, IsToldWhatHadToMakeRoomBeforeItWasTaken) {
  history_.Put("a", "z");
  PutInALargeRevision();
  ASSERT_TRUE(woken_.try_acquire_for(20s));
  EXPECT_EQ(TakeAll(*quiet_), (Frames{"MODIFIED a/z@4", "MODIFIED a/z@5"}));
}

TEST_F(QuietWatch, IsToldWhatThereWasNoRoomForWhileABookmarkWasDue) {
  quiet_->OnTime(clock_.Now());
  ASSERT_TRUE(woken_.try_acquire_for(20s));
  PutInALargeRevision();
  EXPECT_EQ(TakeAll(*quiet_), (Frames{"MODIFIED a/z@4"}));
}

// What a client must have seen that began behind `from`.
Frames Expected(const TestHistory& history, base::Revision from, const std::string& ns,
                const Selector& selector, const Kind& kind) {
  Frames frames;
  const auto told =
      history.Changes({from + 1, history.revision()}, [&](const replica::Event& change) {
        if (!ns.empty() && change.now.id.ns != ns) return;
        const auto event = EventOf(kind, change);
        const std::string_view type = event == nullptr ? "" : event->MeaningTo(selector).type;
        if (type.empty()) return;
        frames.push_back(std::string(type) + " " + change.now.id.ns + "/" + change.now.id.name +
                         "@" + std::to_string(change.now.revision));
      });
  EXPECT_TRUE(told.ok());
  return frames;
}

// Clients of every kind and pace begin at any time, while the shared events hold next to nothing:
// each sees every change once, in order.
TEST_F(WatchTest, NobodyMissesSeesTwiceOrOutOfOrder) {
  std::mt19937 random(7);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  history_.Put("a", "x");
  StartHub(/*cache_bytes=*/20'000);
  struct Watching {
    base::Revision from;
    std::string ns;
    Selector selector;
    std::unique_ptr<Client> client;
  };
  std::vector<Watching> all;
  for (int round = 0; round < 400; ++round) {
    for (int i = below(8); i >= 0; --i) {
      const std::string ns(1, static_cast<char>('a' + below(3)));
      const std::string name(1, static_cast<char>('x' + below(3)));
      if (below(6) == 0) {
        history_.PutAll(ns, {"x", "y", "z"}, {{"sel", "yes"}}, below(2) == 0 ? 6'000 : 0);
      } else if (below(4) == 0) {
        if (*history_.Find({records::Kind::kImageStream, ns, name}, history_.revision(), {}))
          history_.Delete(ns, name);
      } else {
        history_.Put(ns, name, {{"sel", below(2) == 0 ? "yes" : "no"}}, below(3) == 0 ? 6'000 : 0);
      }
    }
    if (below(20) == 0) {
      WatchRequest request = From(1 + below(static_cast<int>(history_.revision())));
      if (below(2) == 0) request.query.ns = "b";
      if (below(2) == 0) request.query.selector = Labelled("sel=yes");
      if (!request.query.ns.empty() && below(2) == 0) {
        request.query.name = "y";
        request.query.selector = {{}, {"metadata.name", "y"}, registry::ImageStreams()};
      }
      Watching one{request.query.revision, request.query.ns, request.query.selector, nullptr};
      one.client = Open(std::move(request), std::chrono::microseconds(below(3) * 300));
      all.push_back(std::move(one));
    }
    Tell();
    if (below(5) == 0) std::this_thread::sleep_for(1ms);
  }
  ASSERT_GT(all.size(), 5u);
  for (const Watching& one : all) {
    const auto behind = [&](base::Revision from) {
      return Expected(history_, from, one.ns, one.selector, kinds_.streams);
    };
    Frames expected = behind(one.from);
    // Those who have named a revision of several events are told them again.
    const Frames again = one.from > 1 ? behind(one.from - 1) : expected;
    if (again.size() > expected.size() + 1) expected = again;
    EXPECT_EQ(one.client->Await(expected.size()), expected);
  }
}

}  // namespace
}  // namespace strata::objects
