#include "server/objects/watch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/objects/hub.h"
#include "server/objects/image_kinds.h"
#include "server/objects/test_history.h"
#include "server/registry/image_v1.h"

namespace strata::objects {
namespace {

using namespace std::chrono_literals;
using Frames = std::vector<std::string>;

std::string Member(const std::string& json, const std::string& name) {
  const std::string key = "\"" + name + "\":\"";
  const size_t at = json.find(key);
  if (at == json.npos) return "";
  return json.substr(at + key.size(), json.find('"', at + key.size()) - at - key.size());
}

std::string Short(const std::string& json) {
  const std::string type = Member(json, "type");
  if (type == "ERROR") return type + " " + Member(json, "message");
  std::string end = json.find("initial-events-end") == json.npos ? "" : " end";
  return type + " " + Member(json, "namespace") + "/" + Member(json, "name") + "@" +
         Member(json, "resourceVersion") + end;
}

// "ADDED ns/name@revision" of each line.
Frames FramesOf(const std::string& out) {
  Frames frames;
  for (size_t at = 0; at < out.size();) {
    const size_t end = out.find('\n', at);
    frames.push_back(Short(out.substr(at, end - at)));
    at = end + 1;
  }
  return frames;
}

// A client that takes what comes, on a thread of its own.
class Client {
 public:
  Client(Hub& hub, const Kind& kind, WatchRequest request, std::chrono::microseconds pause = 0us)
      : form_(request.form), pause_(pause) {
    watch_ = std::make_shared<Watch>(hub, kind, std::move(request), [this] {
      std::lock_guard lock(mu_);
      woken_ = true;
      wake_.notify_all();
    });
    watch_->Begin();
    thread_ = std::thread([this] { Run(); });
  }
  ~Client() { Stop(); }

  void Stop() {
    {
      std::lock_guard lock(mu_);
      stopped_ = woken_ = true;
      wake_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
  }

  // Once there are so many or the watch has ended.
  Frames Await(size_t count) {
    std::unique_lock lock(mu_);
    wake_.wait_for(lock, 20s, [&] { return frames_.size() >= count || ended_; });
    return frames_;
  }
  bool AwaitEnd() {
    std::unique_lock lock(mu_);
    return wake_.wait_for(lock, 20s, [&] { return ended_; });
  }

 private:
  void Run() {
    for (;;) {
      std::string out;
      const Watch::Next next = watch_->Take(out);
      std::unique_lock lock(mu_);
      std::ranges::move(FramesOf(out), std::back_inserter(frames_));
      if (!out.empty()) wake_.notify_all();
      if (stopped_) return;
      if (next == Watch::Next::kEnd) {
        ended_ = true;
        wake_.notify_all();
        return;
      }
      if (next == Watch::Next::kWait) wake_.wait(lock, [&] { return woken_; });
      woken_ = false;
      lock.unlock();
      if (next == Watch::Next::kWork) watch_->Work();
      if (pause_ > 0us) std::this_thread::sleep_for(pause_);
    }
  }
  const WatchForm form_;
  const std::chrono::microseconds pause_;
  std::shared_ptr<Watch> watch_;
  std::mutex mu_;
  std::condition_variable wake_;
  bool woken_ = false, stopped_ = false, ended_ = false;
  Frames frames_;
  std::thread thread_;
};

class WatchTest : public testing::Test {
 protected:
  void StartHub(size_t cache_bytes = 64 << 20) {
    hub_ = std::make_unique<Hub>(history_, history_.keys(), std::vector{&kinds_.streams},
                                 Hub::Options{cache_bytes}, clock_, log_, metrics_);
    hub_->EndList(history_.revision());
    hub_->Start();
  }
  // What was done to the history since is told.
  void Tell() { hub_->Apply({}, history_.revision()); }
  WatchRequest From(base::Revision revision, bool initial = false) {
    WatchRequest request;
    request.query.revision = revision;
    request.initial_events = initial;
    request.resumes = !initial;
    request.end = clock_.Now() + 1h;
    return request;
  }
  std::unique_ptr<Client> Open(WatchRequest request, std::chrono::microseconds pause = 0us) {
    return std::make_unique<Client>(*hub_, kinds_.streams, std::move(request), pause);
  }
  static Selector Labelled(const std::string& selector) {
    return {*api::LabelSelector::Parse(selector), {}, registry::ImageStreams()};
  }

  TestHistory history_;
  const ImageKinds kinds_{image::RegistryHostnames{}};
  const base::SystemClock clock_;
  obs::Metrics metrics_;
  const obs::Logger log_{{}, metrics_};
  std::unique_ptr<Hub> hub_;
};

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
  Watch::Next next = Watch::Next::kFrames;
  while (next == Watch::Next::kFrames || next == Watch::Next::kWork) {
    out.clear();
    next = watch->Take(out);
    std::ranges::move(FramesOf(out), std::back_inserter(frames));
    if (next == Watch::Next::kWork) watch->Work();
  }
  EXPECT_EQ(next, Watch::Next::kWait);
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

// What a client must have seen that began behind `from`.
Frames Expected(const TestHistory& history, base::Revision from, const std::string& ns,
                const Selector& selector, const Kind& kind) {
  Frames frames;
  const auto told =
      history.Changes(from + 1, history.revision(), SIZE_MAX, [&](const replica::Event& change) {
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
      if (below(4) == 0) {
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
    const Frames expected = Expected(history_, one.from, one.ns, one.selector, kinds_.streams);
    EXPECT_EQ(one.client->Await(expected.size()), expected);
  }
}

}  // namespace
}  // namespace strata::objects
