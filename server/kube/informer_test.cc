#include "server/kube/informer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/k8s/core_v1.pb.h"
#include "test/support/fake_kube.h"
#include "test/support/kube_bytes.h"

namespace strata::kube {
namespace {

using ::k8s::io::api::core::v1::ConfigMap;
using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;
using testing_support::Envelope;
using testing_support::ErrorFrame;
using testing_support::Frame;
using testing_support::Page;

std::string Map(const std::string& name, const std::string& value, int revision) {
  ConfigMap map;
  map.mutable_metadata()->set_namespace_("ns");
  map.mutable_metadata()->set_name(name);
  map.mutable_metadata()->set_resource_version(std::to_string(revision));
  (*map.mutable_data())["key"] = value;
  return map.SerializeAsString();
}

class KubeInformer : public testing::Test {
 protected:
  KubeInformer() {
    informer.Start();
    kube.RunTask();
  }
  const base::SystemClock clock;
  int logged = 0;  // lines
  const obs::Logger log{obs::LogFormat::kText, 0, clock, [this](std::string_view) { ++logged; }};
  testing_support::FakeKube kube;
  std::map<std::string, std::string> seen;  // value of each map
  int updates = 0;
  base::Status verdict;
  Informer informer{kube,
                    {"/api/v1/configmaps", "metadata.name=x"},
                    {},
                    [this](const Informer::Objects& objects) {
                      seen.clear();
                      ++updates;
                      for (const auto& [key, bytes] : objects) {
                        ConfigMap map;
                        map.ParseFromString(bytes);
                        seen[key] = map.data().at("key");
                      }
                      return verdict;
                    },
                    log};
};

TEST_F(KubeInformer, ListsInPagesAndFollowsChanges) {
  EXPECT_EQ(kube.pending[0].request.path,
            "/api/v1/configmaps?limit=500&fieldSelector=metadata.name%3Dx");
  kube.Answer(Page({Map("a", "1", 3)}, "7", "next"));
  EXPECT_FALSE(informer.synced());
  EXPECT_THAT(kube.pending[0].request.path, HasSubstr("&continue=next"));
  kube.Answer(Page({Map("b", "1", 5)}, "7"));
  EXPECT_TRUE(informer.synced());
  EXPECT_THAT(seen, UnorderedElementsAre(Pair("ns/a", "1"), Pair("ns/b", "1")));

  auto watch = kube.Take();
  EXPECT_THAT(watch.request.path, HasSubstr("watch=1&allowWatchBookmarks=true&resourceVersion=7&"));
  const std::string events = Frame("MODIFIED", Map("a", "2", 8)) +
                             Frame("DELETED", Map("b", "1", 9)) +
                             Frame("ADDED", Map("c", "3", 10)) + Frame("BOOKMARK", Map("", "", 12));
  for (const char byte : events) EXPECT_TRUE(watch.data(std::string_view(&byte, 1)));
  EXPECT_THAT(seen, UnorderedElementsAre(Pair("ns/a", "2"), Pair("ns/c", "3")));
  watch.done(Response{200, ""});
  EXPECT_THAT(kube.pending[0].request.path, HasSubstr("resourceVersion=12&")) << "goes on there";
}

TEST_F(KubeInformer, TakesChangesThatComeTogetherAsOneUpdate) {
  kube.Answer(Page({}, "7"));
  auto watch = kube.Take();
  watch.data(Frame("ADDED", Map("a", "1", 8)) + Frame("ADDED", Map("b", "1", 9)));
  EXPECT_EQ(updates, 2) << "the list and these";
}

TEST_F(KubeInformer, ListsAnewWhenTheWatchBreaksAndKeepsWhatItHas) {
  kube.Answer(Page({Map("a", "1", 3)}, "7"));
  auto watch = kube.Take();
  EXPECT_FALSE(watch.data(ErrorFrame(410, "too old resource version")));
  watch.done(Response{200, ""});
  EXPECT_EQ(base::Message(informer.status()), "too old resource version");
  EXPECT_TRUE(informer.synced());
  EXPECT_EQ(seen.size(), 1u);
  kube.RunTask();
  kube.Answer(Page({Map("b", "1", 9)}, "9"));
  EXPECT_THAT(seen, UnorderedElementsAre(Pair("ns/b", "1")));
  EXPECT_TRUE(informer.status().ok());
}

TEST_F(KubeInformer, BacksOffWhileKubeApiserverIsAway) {
  std::vector<int64_t> delays;
  for (int i = 0; i < 7; ++i) {
    kube.Answer(base::UnavailableError("connection refused"));
    delays.push_back(kube.RunTask().count());
  }
  EXPECT_THAT(delays, testing::ElementsAre(1000, 2000, 4000, 8000, 16000, 30000, 30000));
  EXPECT_FALSE(informer.synced());
}

TEST_F(KubeInformer, WatchesAgainWhereKubeApiserverIsBusyAndListsNothing) {
  kube.Answer(Page({Map("a", "1", 3)}, "7"));
  std::vector<int64_t> delays;
  for (int i = 0; i < 6; ++i) {
    kube.Answer(Response{429, ""});
    EXPECT_FALSE(informer.status().ok());
    delays.push_back(kube.RunTask().count());
    EXPECT_THAT(kube.pending[0].request.path, HasSubstr("watch=1&allowWatchBookmarks=true"
                                                        "&resourceVersion=7&"));
  }
  EXPECT_THAT(delays, testing::ElementsAre(1000, 2000, 4000, 8000, 16000, 30000));
  auto watch = kube.Take();
  watch.data("");
  EXPECT_TRUE(informer.status().ok());
  watch.data(Frame("MODIFIED", Map("a", "2", 8)) + ErrorFrame(500, "oops"));
  EXPECT_THAT(seen, UnorderedElementsAre(Pair("ns/a", "2"))) << "it came before the error";
  watch.done(Response{200, ""});
  EXPECT_EQ(kube.RunTask().count(), 1000) << "a watch had begun";
}

TEST_F(KubeInformer, ListsLessOftenWhereAWatchIsRefusedAndSaysSoOnce) {
  std::vector<int64_t> delays;
  for (int i = 0; i < 6; ++i) {
    kube.Answer(Page({Map("a", "1", 3)}, "7"));
    kube.Answer(Response{403, ""});
    delays.push_back(kube.RunTask().count());
  }
  EXPECT_THAT(delays, testing::ElementsAre(1000, 2000, 4000, 8000, 16000, 30000));
  EXPECT_EQ(logged, 1);
}

// kube-apiserver may be put back to before this revision while something before it says 5xx: what
// is there then no watch from this revision tells.
TEST_F(KubeInformer, ListsAnewBehindAnErrorThatMayHideAnotherHistory) {
  for (const int status : {500, 502, 503, 504}) {
    kube.Answer(Page({Map("a", "1", 3)}, "7"));
    kube.Answer(Response{status, ""});
    kube.RunTask();
    EXPECT_THAT(kube.pending[0].request.path, testing::Not(HasSubstr("watch=1"))) << status;
  }
}

TEST_F(KubeInformer, PausesAfterAWatchThatBroughtNothing) {
  kube.Answer(Page({}, "7"));
  kube.Answer(Response{200, ""});
  EXPECT_TRUE(kube.pending.empty()) << "it may have ended at once, as the next will";
  EXPECT_EQ(kube.RunTask().count(), 1000);
  EXPECT_THAT(kube.pending[0].request.path, HasSubstr("resourceVersion=7&"));
  EXPECT_TRUE(informer.status().ok());
}

TEST_F(KubeInformer, FollowsNoListWithoutEnd) {
  kube.Answer(Page({Map("a", "1", 3)}, "7", "x &y"));
  EXPECT_THAT(kube.pending[0].request.path, HasSubstr("&continue=x%20%26y")) << "as one value";
  kube.Answer(Page({Map("b", "1", 3)}, "7", "x &y"));
  EXPECT_EQ(base::Message(informer.status()), "a list has no end");
  EXPECT_EQ(kube.RunTask().count(), 1000);
  EXPECT_THAT(kube.pending[0].request.path, HasSubstr("?limit=500&fieldSelector"))
      << "from its start";
}

TEST_F(KubeInformer, SurvivesAnswersThatAreNoLists) {
  for (const Response& bad :
       {Response{200, ""}, Response{200, "{}"}, Response{200, Envelope("\xff\xff")},
        Response{403, R"({"kind":"Status","message":"configmaps is forbidden"})"},
        Page({"\xff\xff"}, "3")}) {
    kube.Answer(bad);
    EXPECT_FALSE(informer.status().ok());
    kube.RunTask();
  }
  kube.Answer(Page({}, "7"));
  EXPECT_TRUE(informer.synced());
  for (const std::string& bytes : {std::string("\xff\xff\xff\xff"), std::string("\0\0\0\1x", 5)}) {
    auto watch = kube.Take();
    EXPECT_FALSE(watch.data(bytes));
    watch.done(Response{200, ""});
    kube.RunTask();
    kube.Answer(Page({}, "7"));
  }
}

TEST_F(KubeInformer, IsNotInSyncWhileWhatThereIsCannotBeUsed) {
  verdict = base::InvalidArgumentError("no such CA");
  kube.Answer(Page({}, "7"));
  EXPECT_FALSE(informer.synced());
  EXPECT_EQ(base::Message(informer.status()), "no such CA");
}

TEST_F(KubeInformer, AnEventOfAnUnknownTypeIsNoChange) {
  kube.Answer(Page({Map("a", "1", 3)}, "7"));
  auto watch = kube.Take();
  EXPECT_FALSE(watch.data(Frame("REPLACED", Map("a", "2", 8))));
  EXPECT_THAT(seen, UnorderedElementsAre(Pair("ns/a", "1")));
  watch.done(Response{200, ""});
  EXPECT_EQ(base::Message(informer.status()), "an event of type \"REPLACED\" came");
}

}  // namespace
}  // namespace strata::kube
