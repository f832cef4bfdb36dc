#include "server/endpoints/views.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/endpoints/handler_fixture_test.h"
#include "server/layers/records_fixture_test.h"
#include "server/registry/image_v1.h"
#include "server/registry/layers_v1alpha1.h"

namespace strata::endpoints {
namespace {

using layers::Changes;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// May see what `seen` holds; the empty namespace stands for all.
class Rights final : public auth::Authorizer {
 public:
  std::optional<auth::Decision> Authorize(const auth::UserInfo&, const api::RequestInfo& request,
                                          Later later) const override {
    auth::Decision decision{seen.contains(request.ns) ? auth::Decision::Verdict::kAllow
                                                      : auth::Decision::Verdict::kNoOpinion,
                            "", broken ? "unreachable" : ""};
    if (!slow) return decision;
    waiting.push_back([done = later(), decision] { done(decision); });
    return std::nullopt;
  }
  std::set<std::string> seen;
  bool slow = false, broken = false;
  mutable std::deque<std::function<void()>> waiting;
};

class ViewHandlers : public testing::Test {
 protected:
  ViewHandlers() {
    source.misses = false;
    index.BeginList();
    index.EndList(1);
    index.Apply(Changes()
                    .At(9)
                    .Image("i", layers::ImageBytes({"a"}))
                    .Image("j", layers::ImageBytes({"a", "b"}))
                    .Stream("mine/app", layers::StreamBytes("app", {"i"}))
                    .Stream("other/app", layers::StreamBytes("app", {"j"}))
                    .Stream("other/unreadable", "torn")
                    .all());
  }

  Lane Queue() {
    return {[this](std::function<void()>& task, const Lane::Order&) -> uint64_t {
              if (full) return 0;
              tasks.emplace_back(++last, std::move(task));
              return last;
            },
            [this](uint64_t ticket) {
              std::erase_if(tasks, [&](const auto& task) { return task.first == ticket; });
            }};
  }
  void Work() {
    while (!tasks.empty()) {
      const auto task = std::move(tasks.front().second);
      tasks.pop_front();
      task();
    }
  }
  ViewQuery QueryOf(const registry::Resource* resource) {
    if (resource == &registry::Blobs()) return BlobQuery();
    if (resource == &registry::LayersOfImages()) return ImageLayersQuery();
    if (resource == &registry::LayerUsages()) return LayerUsageQuery(usages);
    return ImageStreamLayersQuery();
  }
  std::shared_ptr<TestCall> Begin(const std::string& path, const std::string& accept = "") {
    auto call =
        std::make_shared<TestCall>(registry::LayersV1Alpha1(), "/apis/layers.strata.dev/v1alpha1/" +
                                                                   path + "?resourceVersion=9");
    if (!accept.empty()) call->request.headers.Add("accept", accept);
    handler.emplace(index, freshness, seeker, audiences, Queue(), clock, QueryOf(call->resource));
    handler->Serve(call);
    return call;
  }
  std::shared_ptr<TestCall> BeginList() {
    auto call = std::make_shared<TestCall>(registry::LayersV1Alpha1(),
                                           "/apis/layers.strata.dev/v1alpha1/imagelayers");
    ForWhoSeesAll(audiences, [](const std::shared_ptr<Call>& c) { c->Respond({}); })(call);
    return call;
  }
  std::string List() { return BeginList()->answer; }
  std::string Get(const std::string& path, const std::string& accept = "") {
    const auto call = Begin(path, accept);
    Work();
    return call->answer;
  }

  base::FakeClock clock;
  obs::Metrics metrics;
  const obs::Logger log{{}, metrics};
  TestSource source;
  Freshness freshness{source.barrier(), clock};
  Seeker seeker{source};
  layers::Index index{{.for_views = true}, {}};
  Rights rights;
  Audiences audiences{rights, registry::ImageStreamLayers(), {}, clock, log, metrics};
  views::UsageMemory usages;
  std::deque<std::pair<uint64_t, std::function<void()>>> tasks;
  uint64_t last = 0;
  bool full = false;
  std::optional<ViewHandler> handler;
};

TEST_F(ViewHandlers, AnswerEachResource) {
  rights.seen = {""};
  EXPECT_EQ(Get("namespaces/mine/imagestreamlayers/app"),
            R"(200 {"kind":"ImageStreamLayers","apiVersion":"layers.strata.dev/v1alpha1",)"
            R"("metadata":{"name":"app","resourceVersion":"9"},)"
            R"("blobs":{"a":{"size":10,"mediaType":"layer"},)"
            R"("i":{"size":null,)"
            R"("mediaType":"application/vnd.docker.distribution.manifest.v2+json"},)"
            R"("sha256:config":{"size":null,)"
            R"("mediaType":"application/vnd.docker.container.image.v1+json"}},)"
            R"("images":{"i":{"imageMissing":false,"layers":["a"],"config":"sha256:config"}}})"
            "\n");
  EXPECT_THAT(
      Get("imagelayers/j"),
      StartsWith(R"(200 {"kind":"ImageLayers","apiVersion":"layers.strata.dev/v1alpha1",)"));
  EXPECT_THAT(Get("blobs/a"), HasSubstr(R"("images":[{"name":"i","as":"Layer"},)"
                                        R"({"name":"j","as":"Layer"}])"));
  EXPECT_THAT(Get("namespaces/mine/layerusages/mine"),
              AllOf(HasSubstr(R"("namespace":"mine","resourceVersion":"9"})"),
                    HasSubstr(R"("sharedSize":10)")));
}

TEST_F(ViewHandlers, AnswerInEachForm) {
  rights.seen = {""};
  EXPECT_THAT(
      Get("namespaces/mine/layerusages/mine", "application/json;as=Table;g=meta.k8s.io;v=v1"),
      HasSubstr(R"("cells":["mine",1,1,1,"10B","0B","10B",0,0])"));
  EXPECT_THAT(Get("blobs/a", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"),
              HasSubstr(R"("metadata":{"name":"a","resourceVersion":"9"}})"));
  EXPECT_THAT(Get("imagelayers/i", "application/yaml"), HasSubstr("\nmediaType: application/"));
  EXPECT_THAT(Get("imagelayers/i", "application/vnd.kubernetes.protobuf"),
              StartsWith(std::string("200 k8s\0", 8)));
}

TEST_F(ViewHandlers, SayWhatThereIsnt) {
  rights.seen = {""};
  EXPECT_THAT(Get("blobs/none"), HasSubstr(R"("blobs.layers.strata.dev \"none\" not found")"));
  for (const char* path : {"imagelayers/none", "namespaces/mine/imagestreamlayers/none",
                           "namespaces/none/imagestreamlayers/app",
                           "namespaces/none/layerusages/none", "namespaces/mine/layerusages/other"})
    EXPECT_THAT(Get(path), StartsWith("404 ")) << path;
  EXPECT_THAT(Get("namespaces/other/imagestreamlayers/unreadable"),
              AllOf(StartsWith("500 "), HasSubstr("can't be read: malformed protobuf")));
}

TEST_F(ViewHandlers, ShowOnlyWhatTheUserMaySee) {
  rights.seen = {"mine"};
  EXPECT_THAT(Get("blobs/a"), AllOf(HasSubstr(R"("images":[{"name":"i","as":"Layer"}])"),
                                    Not(HasSubstr("other")), Not(HasSubstr("299"))));
  EXPECT_EQ(Get("blobs/b"), R"(404 {"kind":"Status","apiVersion":"v1","metadata":{},)"
                            R"("status":"Failure","message":"blobs.layers.strata.dev \"b\" not )"
                            R"(found","reason":"NotFound","details":{"name":"b",)"
                            R"("group":"layers.strata.dev","kind":"blobs"},"code":404})"
                            "\n");
  EXPECT_THAT(Get("imagelayers/j"), StartsWith("404 "));
  EXPECT_THAT(Get("namespaces/other/imagestreamlayers/app"), StartsWith("200 "))
      << "whoever may get the view itself sees it";
}

TEST_F(ViewHandlers, WarnWhereRightsCantBeDecided) {
  rights.seen = {"mine"};
  rights.broken = true;
  EXPECT_THAT(Get("blobs/a"), HasSubstr("299 - "));
}

TEST_F(ViewHandlers, DontTellWhetherThereIsWhatCantBeDecided) {
  source.misses = true;
  rights.broken = true;
  for (const char* path : {"blobs/a", "blobs/none", "imagelayers/j", "imagelayers/none"})
    EXPECT_EQ(Get(path), "500 Internal Server Error: \"\": unreachable\n") << path;
  EXPECT_TRUE(source.sought.empty());
}

TEST_F(ViewHandlers, DontTellThatANamespaceThatCantBeDecidedHasIt) {
  rights.slow = true;
  const auto call = Begin("blobs/a");
  rights.slow = false;
  rights.broken = true;
  rights.waiting.front()();  // of all namespaces it was decided before
  Work();
  EXPECT_THAT(call->answer, AllOf(StartsWith("404 "), Not(HasSubstr("299"))));
}

TEST_F(ViewHandlers, WaitForReviewsWithoutAWorker) {
  rights.seen = {"mine"};
  rights.slow = true;
  const auto call = Begin("blobs/a");
  EXPECT_TRUE(tasks.empty());
  rights.waiting.front()();  // all namespaces at once
  rights.waiting.pop_front();
  Work();
  EXPECT_EQ(rights.waiting.size(), 2u);
  for (const auto& answer : rights.waiting) answer();
  EXPECT_EQ(call->answer, "");
  Work();
  EXPECT_THAT(call->answer, StartsWith("200 "));
}

TEST_F(ViewHandlers, LeaveWhatNobodyWaitsFor) {
  rights.seen = {""};
  const auto call = Begin("imagelayers/i");
  EXPECT_EQ(tasks.size(), 1u);
  call->end(Call::End::kTimeIsOver);
  EXPECT_THAT(call->answer, StartsWith("504 "));
  EXPECT_TRUE(tasks.empty());
}

TEST_F(ViewHandlers, SeekWhatTheySayIsAbsent) {
  source.misses = true;
  rights.seen = {""};
  index.Apply(Changes()
                  .At(9)
                  .Image("torn", "torn")
                  .Stream("mine/gap", layers::StreamBytes("gap", {"i", "k", "torn"}))
                  .all());
  const struct {
    const char *path, *sought;
    bool found;  // and so looked at again
    const char* code;
  } kCases[] = {
      {"imagelayers/none", "/none ", false, "404 "},
      {"namespaces/mine/imagestreamlayers/none", "mine/none ", false, "404 "},
      {"namespaces/mine/imagestreamlayers/gap", "/k ", false, "200 "},
      {"namespaces/mine/imagestreamlayers/gap", "/k ", true, "200 "},
      {"namespaces/mine/imagestreamlayers/app", nullptr, false, "200 "},
      {"imagelayers/i", nullptr, false, "200 "},
      {"namespaces/other/imagestreamlayers/unreadable", nullptr, false, "500 "},
      {"blobs/none", nullptr, false, "404 "},
      {"namespaces/none/layerusages/none", nullptr, false, "404 "},
  };
  for (const auto& one : kCases) {
    const auto call = Begin(one.path);
    Work();
    if (one.sought != nullptr) {
      EXPECT_EQ(call->answer, "") << one.path;
      ASSERT_EQ(source.sought.size(), 1u) << one.path;
      EXPECT_EQ(source.sought[0].first, one.sought);
      if (one.found) index.Apply(Changes().At(9).Image("k", layers::ImageBytes({"b"})).all());
      source.Find(one.found);
      Work();
    }
    EXPECT_THAT(call->answer, StartsWith(one.code)) << one.path;
    if (one.found) {
      EXPECT_THAT(call->answer, HasSubstr(R"("k":{"imageMissing":false)"));
    }
  }
  EXPECT_TRUE(source.sought.empty());
}

// What isn't shown to somebody is there all the same: to seek it would have no end.
TEST_F(ViewHandlers, DontSeekWhatMayNotBeSeen) {
  source.misses = true;
  rights.seen = {"mine"};
  EXPECT_THAT(Get("imagelayers/j"), StartsWith("404 "));
  EXPECT_TRUE(source.sought.empty());
}

TEST_F(ViewHandlers, LeaveWhatIsSoughtToTheSeeker) {
  source.misses = true;
  rights.seen = {""};
  const auto call = Begin("imagelayers/none");
  Work();
  call->end(Call::End::kTimeIsOver);
  EXPECT_EQ(call->answer, "");
  source.Find(base::UnavailableError("unreachable"));
  EXPECT_THAT(call->answer, StartsWith("504 "));
}

TEST_F(ViewHandlers, ServeForWhoSeesAllAlone) {
  EXPECT_THAT(List(), AllOf(StartsWith("403 "), HasSubstr("only who may get imagestreams/layers")));
  rights.seen = {""};
  EXPECT_EQ(List(), "200");
  rights.slow = true;
  const auto call = BeginList();
  EXPECT_EQ(call->answer, "");
  rights.waiting.front()();
  EXPECT_EQ(call->answer, "200");
  call->end(Call::End::kClientIsGone);
}

TEST_F(ViewHandlers, FailWhereItCantBeDecidedWhoSeesAll) {
  rights.broken = true;
  EXPECT_EQ(List(), "500 Internal Server Error: \"\": unreachable\n");
  rights.seen = {""};
  EXPECT_EQ(List(), "200") << "another authorizer has allowed it";
}

TEST_F(ViewHandlers, DontWaitForWhoSeesAllWhenNobodyNeedsIt) {
  rights.seen = {""};
  rights.slow = true;
  auto call = BeginList();
  call->end(Call::End::kTimeIsOver);
  EXPECT_THAT(call->answer, StartsWith("504 "));
  const std::weak_ptr<TestCall> held = std::exchange(call, nullptr);
  EXPECT_TRUE(held.expired()) << "its place among those that are served is free";
  rights.waiting.front()();
}

TEST_F(ViewHandlers, RefuseWhatThereIsNoRoomFor) {
  rights.seen = {""};
  full = true;
  EXPECT_THAT(Get("imagelayers/i"), StartsWith("429 "));
}

}  // namespace
}  // namespace strata::endpoints
