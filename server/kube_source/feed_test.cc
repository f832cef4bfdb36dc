#include "server/kube_source/feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "server/kube_source/fixture_test.h"

namespace strata::kube_source {
namespace {

using kube::Response;
using records::Kind;
using testing::HasSubstr;
using Strings = std::vector<std::string>;

std::string Say(const records::Change& change) {
  const bool deleted = change.state == records::Change::State::kDeleted;
  return (deleted ? "-" : "") + change.id.ns + "/" + change.id.name + "@" +
         std::to_string(change.revision);
}

// Writes down what it is told.
class Notes final : public Feed::Sink {
 public:
  void OnPage(const std::vector<records::Change>& page) override {
    std::string line = "page";
    for (const records::Change& change : page) line += " " + Say(change);
    lines.push_back(line);
  }
  void OnListed(Kind, base::Revision revision) override {
    lines.push_back("listed " + std::to_string(revision));
  }
  void OnListFailed(Kind, const base::Status& why) override {
    lines.emplace_back("list failed");
    status = why;
  }
  void OnWatching(Kind) override { lines.emplace_back("watching"); }
  void OnChanges(Kind, std::vector<records::Change> changes, base::Revision position) override {
    std::string line = "to " + std::to_string(position);
    for (const records::Change& change : changes) line += " " + Say(change);
    lines.push_back(line);
  }
  void OnWatchEnd(Kind, const base::Status& why) override {
    lines.emplace_back(why.ok() ? "ended" : "broken");
    status = why;
  }
  void OnLost(Kind, const base::Status& why) override {
    lines.emplace_back("lost");
    status = why;
  }
  Strings Take() { return std::exchange(lines, {}); }

  Strings lines;
  base::Status status;
};

class FeedTest : public testing::Test {
 protected:
  // Begins to watch from revision 10, where there is nothing.
  testing_support::FakeKube::Pending Follow() {
    feed.List();
    auto list = kube.Take();
    EXPECT_FALSE(list.data(Bookmark("ImageStream", "10", true)));
    list.done(Response{200, ""});
    feed.Watch();
    auto watch = kube.Take();
    watch.data("");
    EXPECT_EQ(notes.Take(), (Strings{"listed 10", "watching"}));
    return watch;
  }

  base::FakeClock clock;
  obs::Metrics metrics;
  testing_support::FakeKube kube;
  Notes notes;
  Feed feed{kube, Kind::kImageStream, {.page_size = 2}, notes, clock, obs::NullLogger(), metrics};
};

TEST_F(FeedTest, AListIsAWatchThatBeginsWithWhatThereIs) {
  feed.List();
  auto list = kube.Take();
  EXPECT_THAT(list.request.path,
              HasSubstr("/imagestreams?watch=1&sendInitialEvents=true"
                        "&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"));
  const std::string bytes = Event("ADDED", {"n", "a", "3"}) + Event("ADDED", {"n", "b", "7"}) +
                            Event("ADDED", {"n", "c", "5"}) + Bookmark("ImageStream", "8");
  EXPECT_TRUE(list.data(""));
  for (const char byte : bytes) EXPECT_TRUE(list.data(std::string_view(&byte, 1)));
  EXPECT_FALSE(list.data(Bookmark("ImageStream", "9", /*ends_list=*/true))) << "that was all";
  list.done(Response{200, ""});
  EXPECT_EQ(notes.lines, (Strings{"page n/a@3 n/b@7", "page n/c@5", "listed 9"}));
  feed.Watch();
  EXPECT_THAT(kube.pending[0].request.path,
              HasSubstr("?watch=1&allowWatchBookmarks=true&resourceVersion=9&timeoutSeconds="));
}

TEST_F(FeedTest, AListEndsWhereAChangeComesAndTheWatchBringsIt) {
  const std::string modified = Event("MODIFIED", {"n", "a", "5"}),
                    deleted = Event("DELETED", {"n", "b", "6"});
  feed.List();
  auto list = kube.Take();
  EXPECT_FALSE(list.data(Event("ADDED", {"n", "a", "3"}) + Event("ADDED", {"n", "b", "2"}) +
                         modified + deleted + Bookmark("ImageStream", "7", true)));
  list.done(Response{200, ""});
  EXPECT_EQ(notes.Take(), (Strings{"page n/a@3 n/b@2", "listed 4"}));
  feed.Watch();
  auto watch = kube.Take();
  EXPECT_THAT(watch.request.path, HasSubstr("&resourceVersion=4&"));
  watch.data(modified + deleted);
  EXPECT_EQ(notes.Take(), Strings{"to 6 n/a@5 -n/b@6"});
  feed.List();
  kube.Bring(Event("ADDED", {"n", "c", "7"}) + Event("DELETED", {"n", "a", "7"}), SIZE_MAX / 2);
  EXPECT_EQ(notes.Take(), Strings{"list failed"}) << "the revision has come in part";
  feed.List();
  EXPECT_THAT(kube.Take().request.path, HasSubstr("sendInitialEvents")) << "it isn't given up";
}

TEST_F(FeedTest, WhereThatIsRefusedItIsPages) {
  const base::StatusOr<Response> refusals[] = {
      Response{400, ""}, Response{404, ""},
      Response{405, ""}, Response{406, ""},
      Response{415, ""}, Response{422, ""},
      Response{200, ""}, base::DeadlineExceededError("silence")};
  for (const auto& refusal : refusals) {
    Feed one{kube, Kind::kImageStream, {}, notes, clock, obs::NullLogger(), metrics};
    one.List();
    if (!refusal.ok()) kube.pending[0].data("");
    kube.Answer(refusal);
    EXPECT_THAT(kube.pending[0].request.path, testing::EndsWith("/imagestreams?limit=500"));
    kube.Answer(ListOf("ImageStream", {{"n", "a", "3"}}, "9", "x+y"));
    EXPECT_THAT(kube.pending[0].request.path, testing::EndsWith("limit=500&continue=x%2By"));
    kube.Answer(ListOf("ImageStream", {{"n", "b", "4"}}, "9"));
    EXPECT_EQ(notes.Take(), (Strings{"page n/a@3", "page n/b@4", "listed 9"}));
    one.List();
    EXPECT_THAT(kube.Take().request.path, HasSubstr("?limit=")) << "it isn't asked for again";
  }
}

TEST_F(FeedTest, WhatSaysNothingOfListsByWatchesIsTriedAgain) {
  const base::StatusOr<Response> answers[] = {Response{401, ""},
                                              Response{403, ""},
                                              Response{410, ""},
                                              Response{429, ""},
                                              Response{503, ""},
                                              base::UnavailableError("connection refused"),
                                              base::DeadlineExceededError("no connection in time")};
  for (const auto& answer : answers) {
    feed.List();
    kube.Answer(answer);
    EXPECT_EQ(notes.Take(), Strings{"list failed"});
    feed.List();
    EXPECT_THAT(kube.Take().request.path, HasSubstr("sendInitialEvents"));
  }
}

TEST_F(FeedTest, AListThatIsNoneFails) {
  const std::string listed = ListOf("ImageStream", {{"n", "a", "3"}}, "9").body;
  const Response answers[] = {
      {200, ""},
      {200, "{}"},
      {200, listed.substr(0, listed.size() - 1)},
      {200, testing_support::Envelope("\xff", "ImageStreamList")},
      ListOf("Image", {}, "9"),
      ListOf("ImageStream", {}, ""),
      ListOf("ImageStream", {}, "9", "more"),
      {410, ""},
      {500, ""},
  };
  feed.List();
  kube.Answer(Response{422, ""});
  for (const Response& answer : answers) {
    kube.Answer(answer);
    EXPECT_EQ(notes.Take(), Strings{"list failed"}) << answer.body;
    feed.List();
  }
  kube.Answer(ListOf("ImageStream", {{"n", "a", "3"}}, "9", "t"));
  kube.Answer(ListOf("ImageStream", {{"n", "b", "3"}}, "8"));
  EXPECT_EQ(notes.Take(), (Strings{"page n/a@3", "list failed"})) << "pages of two revisions";
  feed.List();
  kube.Answer(ListOf("ImageStream", {{"n", "a", "3"}}, "9", "t"));
  kube.Answer(ListOf("ImageStream", {{"n", "a", "3"}}, "9", "t"));
  EXPECT_EQ(notes.Take(), (Strings{"page n/a@3", "list failed"})) << "without end";
}

TEST_F(FeedTest, APageThatIsTooLargeIsAskedForInHalves) {
  feed.List();
  kube.Answer(Response{422, ""});
  kube.Answer(base::ResourceExhaustedError("an answer of more than 9 bytes"));
  EXPECT_THAT(kube.pending[0].request.path, HasSubstr("limit=1"));
  kube.Answer(base::ResourceExhaustedError("an answer of more than 9 bytes"));
  EXPECT_EQ(notes.lines, Strings{"list failed"});
}

TEST_F(FeedTest, ObjectsThatCantBeRecordsAreLeftOut) {
  feed.List();
  kube.Answer(Response{422, ""});
  kube.Answer(ListOf("ImageStream", {{"n", "", "3"}, {"", "a", "3"}, {"n", "b", "4"}}, "9"));
  EXPECT_EQ(notes.Take(), (Strings{"page n/b@4", "listed 9"}));
  feed.Watch();
  auto watch = kube.Take();
  watch.data(testing_support::Frame("ADDED", Bytes({"n", "", "11"}), "ImageStream") +
             Event("ADDED", {"n", "c", "12"}));
  EXPECT_EQ(notes.lines, Strings{"to 12 n/c@12"});
}

TEST_F(FeedTest, ChangesAreToldInOrderAndOnce) {
  auto watch = Follow();
  const std::string bytes = Event("ADDED", {"n", "a", "11"}) + Event("MODIFIED", {"n", "a", "12"}) +
                            Event("MODIFIED", {"n", "a", "12"}) +
                            Event("DELETED", {"n", "a", "13"});
  EXPECT_TRUE(watch.data(bytes));
  EXPECT_TRUE(watch.data(Bookmark("ImageStream", "20")));
  EXPECT_TRUE(watch.data(Bookmark("ImageStream", "20")));
  EXPECT_EQ(notes.lines, (Strings{"to 13 n/a@11 n/a@12 -n/a@13", "to 20"}));
}

// As of one transaction with etcd: the objects of a restore, or those under a prefix that went.
TEST_F(FeedTest, ObjectsThatChangeAtOneRevisionAreAllTold) {
  const std::string first = Event("ADDED", {"n", "a", "11"}),
                    others = Event("ADDED", {"n", "b", "11"}) + Event("DELETED", {"n", "c", "11"});
  auto at_once = Follow();
  at_once.data(first + others);
  EXPECT_EQ(notes.Take(), Strings{"to 11 n/a@11 n/b@11 -n/c@11"});
  auto apart = Follow();
  apart.data(first);
  apart.data(others);
  apart.data(first + others);
  EXPECT_EQ(notes.Take(), (Strings{"to 11 n/a@11", "to 11 n/b@11 -n/c@11"}));
}

TEST_F(FeedTest, AWatchThatEndsWithinARevisionBringsTheRestByTheNext) {
  auto watch = Follow();
  watch.data(Event("ADDED", {"n", "a", "11"}));
  watch.done(Response{200, ""});
  auto next = kube.Take();
  EXPECT_THAT(next.request.path, HasSubstr("resourceVersion=10&"));
  EXPECT_TRUE(next.data(Bookmark("ImageStream", "10"))) << "of a server that is behind";
  EXPECT_TRUE(next.data(Event("ADDED", {"n", "a", "11"}) + Event("ADDED", {"n", "b", "11"})));
  EXPECT_EQ(notes.Take(), (Strings{"to 11 n/a@11", "ended", "to 11 n/b@11"}));
}

TEST_F(FeedTest, AWatchThatEndsGoesOnWhereItStood) {
  auto watch = Follow();
  watch.data(Event("ADDED", {"n", "a", "11"}) + Bookmark("ImageStream", "12"));
  watch.done(Response{200, ""});
  EXPECT_EQ(notes.Take(), (Strings{"to 12 n/a@11", "ended"}));
  EXPECT_THAT(kube.pending[0].request.path, HasSubstr("resourceVersion=12&"));
  kube.Answer(Response{200, ""});
  EXPECT_TRUE(kube.pending.empty()) << "one that ends at once isn't opened again at once";
  EXPECT_GE(kube.RunTask(), std::chrono::milliseconds(400));
  auto quiet = kube.Take();
  EXPECT_THAT(quiet.request.path, HasSubstr("resourceVersion=12&"));
  clock.Advance(std::chrono::seconds(300));
  quiet.done(Response{200, ""});
  EXPECT_EQ(kube.pending.size(), 1u);
}

TEST_F(FeedTest, WhatEndsAWatchDecidesHowItGoesOn) {
  const auto oversize = std::string("\x7f\xff\xff\xff", 4);
  const struct {
    std::string bytes;
    base::StatusOr<Response> end;
    Strings told;
  } table[] = {
      {testing_support::ErrorFrame(410, "too old"), Response{200, ""}, {"broken", "lost"}},
      {"", Response{410, ""}, {"broken", "lost"}},
      {Event("ADDED", {"n", "a", "9"}), Response{200, ""}, {"broken", "lost"}},
      {Bookmark("ImageStream", "9"), Response{200, ""}, {"broken", "lost"}},
      {testing_support::ErrorFrame(500, "oops"), Response{200, ""}, {"broken"}},
      {oversize, Response{200, ""}, {"broken"}},
      {std::string("\0\0\0\1x", 5), Response{200, ""}, {"broken"}},
      {Event("ADDED", {"", "a", "11"}), Response{200, ""}, {"broken"}},
      {Event("ADDED", {"n", "a", ""}), Response{200, ""}, {"broken"}},
      {Event("MELTED", {"n", "a", "11"}), Response{200, ""}, {"broken"}},
      {"", Response{403, ""}, {"broken"}},
      {"", Response{503, ""}, {"broken"}},
      {"", base::UnavailableError("reset"), {"broken"}},
  };
  for (const auto& [bytes, end, told] : table) {
    auto watch = Follow();
    if (!bytes.empty()) {
      EXPECT_FALSE(watch.data(bytes));
    }
    watch.done(end);
    EXPECT_EQ(notes.Take(), told) << bytes;
    EXPECT_EQ(kube.tasks.size(), told.size() == 1 ? 1u : 0u);
    kube.tasks.clear();
  }
}

TEST_F(FeedTest, WhatCameBeforeSomethingBrokenCounts) {
  auto watch = Follow();
  EXPECT_FALSE(watch.data(Event("ADDED", {"n", "a", "11"}) + std::string("\0\0\0\1x", 5)));
  watch.done(Response{200, ""});
  EXPECT_EQ(notes.Take(), (Strings{"to 11 n/a@11", "broken"}));
  kube.RunTask();
  auto next = kube.Take();
  next.data(Event("ADDED", {"n", "a", "11"}) + Event("ADDED", {"n", "b", "12"}));
  EXPECT_EQ(notes.Take(), Strings{"to 12 n/b@12"});
}

TEST_F(FeedTest, WhatCantBeReadAgainAndAgainIsLost) {
  auto watch = Follow();
  for (int i = 0; i < 3; ++i) {
    watch.data(std::string("\0\0\0\1x", 5));
    watch.done(Response{200, ""});
    if (i == 2) break;
    kube.RunTask();
    watch = kube.Take();
  }
  EXPECT_EQ(notes.lines, (Strings{"broken", "broken", "broken", "lost"}));
}

TEST_F(FeedTest, NobodyListensToWhatWasGivenUp) {
  auto watch = Follow();
  feed.End();
  EXPECT_FALSE(watch.data(Event("ADDED", {"n", "a", "11"})));
  watch.done(Response{200, ""});
  EXPECT_EQ(notes.lines, Strings());
  EXPECT_TRUE(kube.pending.empty());
}

}  // namespace
}  // namespace strata::kube_source
