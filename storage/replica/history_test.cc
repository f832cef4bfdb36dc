// What History promises, of both that there are.
#include <gtest/gtest.h>

#include <string>

#include "storage/replica/history_fixture_test.h"

namespace strata::replica {
namespace {

template <typename Kind>
class HistoryTest : public testing::Test {
 protected:
  Kind kept_;
  const History& history() { return kept_.history(); }
  Revision Put(const records::Id& id, const std::string& object) { return kept_.Put(id, object); }
  // A key that is no record's moves the revision.
  Revision PutOther() { return kept_.Commit({{"/elsewhere", "x"}}); }
};
using Kinds = testing::Types<OnStore, OnReplica>;
TYPED_TEST_SUITE(HistoryTest, Kinds);

TYPED_TEST(HistoryTest, ReadsInTheOrderOfKeysAtEachRevision) {
  const Revision a = this->Put(Stream("n", "s"), "1");  // 2
  this->Put(Image("b"), "2");
  this->Put(Image("a"), "3");
  const Revision d = this->Put(Image("b"), "4");
  this->kept_.Delete(Image("a"));
  const Revision last = this->PutOther();
  ASSERT_EQ(a, 2);
  EXPECT_EQ(ReadText(this->history(), {.revision = last}), "b=4@5 n/s=1@2");
  EXPECT_EQ(ReadText(this->history(), {.revision = last - 1}), "b=4@5 n/s=1@2");
  EXPECT_EQ(ReadText(this->history(), {.revision = d}), "a=3@4 b=4@5 n/s=1@2");
  EXPECT_EQ(ReadText(this->history(), {.revision = d - 1}), "a=3@4 b=2@3 n/s=1@2");
  EXPECT_EQ(ReadText(this->history(), {.revision = a}), "n/s=1@2");
  EXPECT_EQ(ReadText(this->history(), {.begin = kKeys.BeginOf(records::Kind::kImageStream, "n"),
                                       .end = kKeys.EndOf(records::Kind::kImageStream, "n"),
                                       .revision = last}),
            "n/s=1@2");
}

TYPED_TEST(HistoryTest, APageEndsAfterItsRecordsOrItsBytesAndTellsWhereTheNextBegins) {
  Revision last = 0;
  for (const char* name : {"a", "b", "c", "d", "e"})
    last = this->Put(Image(name), std::string(100, *name));
  const std::string all = kKeys.EndOf(records::Kind::kImage);
  std::string names;
  std::string from = kKeys.begin();
  for (int pages = 0; pages < 3; ++pages) {
    const auto page = this->history().Read({.begin = from,
                                            .end = all,
                                            .revision = last,
                                            .limit = 2,
                                            .count = true,
                                            .deadline = InTime()});
    ASSERT_TRUE(page.ok()) << page.status();
    names += "|" + std::to_string(page->count) + ":";
    for (const auto& record : page->records) names += record.id.name;
    from = page->next;
  }
  EXPECT_EQ(names, "|5:ab|3:cd|1:e");
  EXPECT_EQ(from, "") << "that was all";
  const auto bounded = [&](size_t limit, size_t max_bytes) {
    const auto page = this->history().Read({.begin = kKeys.begin(),
                                            .end = all,
                                            .revision = last,
                                            .limit = limit,
                                            .max_bytes = max_bytes,
                                            .deadline = InTime()});
    EXPECT_TRUE(page.ok()) << page.status();
    return page->records.size() * (page->next.empty() ? 1 : 10);
  };
  EXPECT_EQ(bounded(0, 1), 10u) << "one at least";
  EXPECT_EQ(bounded(0, 150), 20u);
  EXPECT_EQ(bounded(0, 1000), 5u);
  EXPECT_EQ(bounded(5, 0), 5u) << "a full page may be the last";
  EXPECT_EQ(bounded(0, 500), 5u);
}

TYPED_TEST(HistoryTest, FindsARecordAsItWas) {
  const Revision made = this->Put(Stream("n", "s"), "1");
  const Revision changed = this->Put(Stream("n", "s"), "2");
  const Revision gone = this->kept_.Delete(Stream("n", "s"));
  EXPECT_EQ(FindText(this->history(), Stream("n", "s"), made - 1), "");
  EXPECT_EQ(FindText(this->history(), Stream("n", "s"), made), "n/s=1@2");
  EXPECT_EQ(FindText(this->history(), Stream("n", "s"), changed), "n/s=2@3");
  EXPECT_EQ(FindText(this->history(), Stream("n", "s"), gone), "");
  EXPECT_EQ(FindText(this->history(), Stream("n", "other"), gone), "");
}

TYPED_TEST(HistoryTest, TellsChangesWithWhatWasThereBefore) {
  this->Put(Image("a"), "1");
  this->Put(Image("b"), "2");
  this->Put(Image("a"), "3");
  this->PutOther();
  this->kept_.Commit({{KeyOf(Image("c")), records::Encode(records::Kind::kImage, "4")},
                      {KeyOf(Image("a")), std::nullopt},
                      {"/elsewhere", "y"}});
  const Revision last = this->Put(Image("a"), "5");
  ASSERT_EQ(last, 7);
  EXPECT_EQ(ChangesText(this->history(), 3, last),
            "b=2@3() a=3@4(a=1@2) c=4@6() a-@6(a=3@4) a=5@7() then 8");
  EXPECT_EQ(ChangesText(this->history(), 5, 6), "c=4@6() a-@6(a=3@4) then 7");
  EXPECT_EQ(ChangesText(this->history(), 5, 5), "then 6");
  EXPECT_EQ(ChangesText(this->history(), 8, 7), "then 8");
  EXPECT_EQ(ChangesText(this->history(), 8, 8), "OUT_OF_RANGE") << "what isn't there yet";
}

TYPED_TEST(HistoryTest, TellsOnlyWhatIsWantedAndNoMoreOnceItIsEnough) {
  for (const char* name : {"a", "b", "a", "b"}) this->Put(Image(name), std::string(100, *name));
  std::vector<Revision> told;
  const auto visit = [&](const Event& event) { told.push_back(event.now.revision); };
  Interval interval{2, 5};
  interval.wants = [](Revision, const records::Id& id) { return id.name == "b"; };
  EXPECT_EQ(*this->history().Changes(interval, visit), 6);
  EXPECT_EQ(told, (std::vector<Revision>{3, 5}));
  interval.max_bytes = 1;
  EXPECT_EQ(*this->history().Changes(interval, visit), 3) << "it was looked at";
  std::stop_source stop;
  stop.request_stop();
  interval.stop = stop.get_token();
  EXPECT_EQ(this->history().Changes(interval, visit).status().code(), base::StatusCode::kCancelled);
  EXPECT_EQ(told.size(), 2u);
}

TYPED_TEST(HistoryTest, ChangesEndAfterTheirBytesWithAWholeRevision) {
  for (const char* name : {"a", "b"}) this->Put(Image(name), std::string(100, *name));
  this->kept_.Commit({{KeyOf(Image("a")), std::nullopt}, {KeyOf(Image("b")), std::nullopt}});
  const Revision last = this->PutOther();
  EXPECT_TRUE(ChangesText(this->history(), 2, last, 1).ends_with(" then 3"));
  EXPECT_TRUE(ChangesText(this->history(), 2, last, 150).ends_with(" then 4"));
  EXPECT_TRUE(ChangesText(this->history(), 4, last, 1)
                  .ends_with("b-@4(b=" + std::string(100, 'b') + "@3) then 5"));
  EXPECT_EQ(ChangesText(this->history(), 5, last, 1), "then 6");
}

TYPED_TEST(HistoryTest, ARecordThatCantBeReadIsThereAndSaysWhy) {
  this->Put(Image("a"), "1");
  const Revision last = this->kept_.Commit({{KeyOf(Image("a")), "no record"}});
  EXPECT_EQ(ReadText(this->history(), {.revision = last}), "a!@3");
  EXPECT_EQ(ChangesText(this->history(), last, last), "a!@3(a=1@2) then 4");
  const auto found = this->history().Find(Image("a"), last, InTime());
  ASSERT_TRUE(found.ok() && *found);
  EXPECT_EQ((*found)->reason, "neither Kubernetes protobuf nor JSON");
}

TYPED_TEST(HistoryTest, BeginsWhereTheRestWasForgotten) {
  this->Put(Image("a"), "1");
  this->Put(Image("b"), "2");
  const Revision kept = this->Put(Image("a"), "3");
  const Revision last = this->kept_.Delete(Image("b"));
  this->kept_.Forget(kept);
  EXPECT_EQ(this->history().oldest(), kept);
  EXPECT_EQ(ChangesText(this->history(), kept, last), "OUT_OF_RANGE");
  EXPECT_EQ(ChangesText(this->history(), kept + 1, last), "b-@5(b=2@3) then 6");
  EXPECT_EQ(ReadText(this->history(), {.revision = kept - 1}), "OUT_OF_RANGE");
  EXPECT_EQ(FindText(this->history(), Image("a"), kept - 1), "OUT_OF_RANGE");
  EXPECT_EQ(ReadText(this->history(), {.revision = kept}), "a=3@4 b=2@3");
  EXPECT_EQ(ReadText(this->history(), {.revision = last}), "a=3@4");
  EXPECT_EQ(ReadText(this->history(), {.revision = last + 1}), "OUT_OF_RANGE");
}

}  // namespace
}  // namespace strata::replica
