// What the hub shows of itself.
#include "server/objects/hub.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "server/objects/watch_fixture_test.h"
#include "test/support/metric.h"
#include "test/support/waiting.h"

namespace strata::objects {
namespace {

class HubMetrics : public WatchTest {
 protected:
  double Metric(const std::string& name) const {
    return testing_support::MetricOf(metrics_, name + "{resources=\"imagestreams\"}");
  }
  // What `name` shows once that is `value`, or after twenty seconds.
  double AwaitMetric(const std::string& name, double value) const {
    testing_support::Eventually([&] { return Metric(name) == value; });
    return Metric(name);
  }
  WatchRequest In(const std::string& ns) {
    WatchRequest request = From(history_.revision());
    request.query.ns = ns;
    return request;
  }
  // Until the hub has told the watches, and counted.
  void PutAndTell(int times, size_t size) {
    for (int i = 0; i < times; ++i) history_.Put("a", "x", {}, size);
    TellAndAwait();
  }
};

TEST_F(HubMetrics, EventsThatWatchesShareAreCountedOnceWithTheirBytes) {
  history_.Put("a", "x", {}, 1'000);
  StartHub(/*cache_bytes=*/40'000);
  EXPECT_EQ(Metric("strata_watches"), 0);
  auto one = Open(From(history_.revision()));
  const auto other = Open(From(history_.revision()));
  EXPECT_EQ(Metric("strata_watches"), 2);
  PutAndTell(1, 1'000);
  EXPECT_EQ(Metric("strata_watch_cache_events_total"), 1);
  const double bytes = Metric("strata_watch_cache_bytes");
  EXPECT_GT(bytes, 4'000) << "the object and its encoding";
  EXPECT_LT(bytes, 10'000) << "once, whoever watches";
  PutAndTell(1, 1'000);
  EXPECT_EQ(Metric("strata_watch_cache_bytes"), 2 * bytes);
  PutAndTell(20, 1'000);
  EXPECT_EQ(Metric("strata_watch_cache_events_total"), 22);
  EXPECT_GT(Metric("strata_watch_cache_bytes"), 40'000 - 2 * bytes);
  EXPECT_LE(Metric("strata_watch_cache_bytes"), 40'000);
  EXPECT_EQ(Metric("strata_watch_history_breaks_total"), 0);
  history_.Forget(history_.revision());
  hub_->EndList(history_.revision());
  EXPECT_EQ(AwaitMetric("strata_watch_history_breaks_total", 1), 1);
  EXPECT_EQ(AwaitMetric("strata_watch_cache_bytes", 0), 0);
  one.reset();
  EXPECT_EQ(AwaitMetric("strata_watches", 1), 1);
}

TEST_F(HubMetrics, WhoIsTooSlowForTheSharedEventsIsCounted) {
  StartHub(/*cache_bytes=*/20'000);
  const auto quick = Open(From(history_.revision()));
  const auto slow =
      std::make_shared<Watch>(*hub_, kinds_.streams, From(history_.revision()), [] {});
  slow->Begin();
  EXPECT_EQ(TakeAll(*slow), Frames());
  size_t events = 0;
  for (const double times : {1, 2}) {
    for (int i = 0; i < 20; ++i) {
      PutAndTell(1, 6'000);
      quick->Await(++events);
    }
    EXPECT_EQ(Metric("strata_watches_behind_total"), times - 1) << "nobody has asked for them";
    EXPECT_EQ(TakeAll(*slow).size(), 20u);
    EXPECT_EQ(Metric("strata_watches_behind_total"), times);
  }
}

TEST_F(HubMetrics, NothingIsMadeForWhomNobodyWatches) {
  StartHub();
  const auto client = Open(In("b"));
  for (int i = 0; i < 5; ++i) history_.Put("a", "x");
  history_.Put("b", "x");
  Tell();
  EXPECT_EQ(client->Await(1), (Frames{"ADDED b/x@7"}));
  EXPECT_EQ(history_.told(), 1u);
}

TEST_F(HubMetrics, OfARevisionThatIsTooLargeNoMoreIsMadeThanThereIsRoomFor) {
  StartHub(/*cache_bytes=*/40'000);
  const auto one = Open(In("a")), other = Open(In("b"));
  Frames expected = PutMany(100, 1'000);
  history_.Put("b", "x");
  PutAndTell(1, 0);
  expected.push_back("ADDED a/x@4");
  EXPECT_EQ(other->Await(1), (Frames{"ADDED b/x@3"}));
  EXPECT_EQ(one->Await(101), expected);
  EXPECT_LT(Metric("strata_watch_cache_events_total"), 20);
  EXPECT_LE(Metric("strata_watch_cache_bytes"), 50'000);
  EXPECT_EQ(Metric("strata_watches_behind_total"), 1) << "nobody else reads for himself";
}

// Also those who had been told a part of what was read by then.
TEST_F(HubMetrics, WhereTheHistoryCantBeReadOnAllWatchesEnd) {
  StartHub();
  const auto one = Open(In("a")), other = Open(In("b"));
  history_.Put("a", "x");
  Tell();
  EXPECT_EQ(one->Await(1), (Frames{"ADDED a/x@2"}));
  for (const char* name : {"x", "y", "z"}) history_.Put("a", name);
  history_.FailBefore(2);
  Tell();
  EXPECT_TRUE(one->AwaitEnd());
  EXPECT_TRUE(other->AwaitEnd());
}

TEST_F(HubMetrics, WhatWatchesShareGoesWithTheLastOfThem) {
  StartHub();
  auto one = Open(From(history_.revision())), other = Open(In("a"));
  PutAndTell(10, 1'000);
  const double bytes = Metric("strata_watch_cache_bytes");
  EXPECT_GT(bytes, 10'000);
  one.reset();
  PutAndTell(1, 0);
  EXPECT_GT(Metric("strata_watch_cache_bytes"), bytes);
  other.reset();
  EXPECT_EQ(AwaitMetric("strata_watch_cache_bytes", 0), 0);
}

// Whoever comes later in another form may ask for as many events as there are.
TEST_F(HubMetrics, WhatIsMadeOfAnEventAfterItWasCountedIsNotKept) {
  const base::Revision at = history_.Put("a", "x", {}, 1'000);
  std::shared_ptr<Event> event;
  const auto wants = [](base::Revision, const records::Id&) { return true; };
  const auto read = history_.Changes(
      {at, at, 1 << 20, wants, {}},
      [&](const replica::Event& change) { event = EventOf(kinds_.streams, change); });
  ASSERT_TRUE(read.ok());
  const WatchForm json, table{.transform = wire::Transform::kTable, .columns = true};
  event->Keep(json, false, {});
  EXPECT_EQ(event->Encode(json, false, {}), event->Find(json, false));
  const size_t counted = event->encoded_bytes();
  EXPECT_GT(counted, 1'000);
  EXPECT_FALSE(event->Encode(table, false, {})->empty());
  EXPECT_EQ(event->encoded_bytes(), counted);
}

}  // namespace
}  // namespace strata::objects
