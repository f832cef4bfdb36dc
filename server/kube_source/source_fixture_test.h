#pragma once

#include <absl/synchronization/mutex.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/kube_source/fixture_test.h"
#include "server/kube_source/kube_source.h"
#include "server/kube_source/object_record.h"

namespace strata::kube_source {

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

}  // namespace strata::kube_source
