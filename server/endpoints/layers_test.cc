#include "server/endpoints/layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "server/layers/test_records.h"
#include "server/registry/image_v1.h"

namespace strata::endpoints {
namespace {

using layers::Changes;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class LayersCall final : public Call {
 public:
  explicit LayersCall(const std::string& stream) {
    request.method = "GET";
    info = std::make_shared<const api::RequestInfo>(
        *api::ParseRequestInfo("GET", "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/" +
                                          stream + "/layers?resourceVersion=0"));
    resource = registry::TargetOf({&registry::ImageV1()}, info->parts).resource;
    user = std::make_shared<auth::UserInfo>(auth::UserInfo{"alice", {}, {}, {}});
  }
  void Respond(http::Response response) override {
    EXPECT_TRUE(answer.empty()) << "answered twice";
    answer = std::to_string(response.status);
    if (response.body != nullptr) answer += " " + *response.body;
  }
  void Post(std::function<void()> task) override { task(); }

  std::string answer;
};

// What is sought waits until the test says what there is.
class SlowSource final : public reflector::Source, private reflector::Barrier::Backend {
 public:
  SlowSource() { barrier_.Publish(9, 9, 0, true); }

  void Start() override {}
  void Stop() override {}
  reflector::Barrier& barrier() override { return barrier_; }
  bool synced() const override { return true; }
  base::Status connection() const override { return base::OkStatus(); }
  bool may_miss() const override { return misses; }
  void Seek(const std::vector<records::Id>& ids, const Sought& done) override {
    std::string line;
    for (const records::Id& id : ids) line += id.ns + "/" + id.name + " ";
    sought.emplace_back(line, done);
  }
  // Answers the oldest of them.
  void Find(base::StatusOr<bool> found) {
    const auto done = sought.front().second;
    sought.pop_front();
    done(std::move(found));
  }

  bool misses = true;
  std::deque<std::pair<std::string, Sought>> sought;

 private:
  base::StatusOr<reflector::Barrier::Target> Read(base::MonotonicTime) override {
    return base::UnavailableError("not asked");
  }
  base::Status Probe(base::MonotonicTime) override { return base::OkStatus(); }
  void RequestProgress() override {}
  void WatchLags() override {}
  void Restored() override {}

  base::SystemClock clock_;
  obs::Metrics metrics_;
  reflector::Barrier barrier_{{}, *this, clock_, metrics_};
};

class LayersOfWhatMayBeMissing : public testing::Test {
 protected:
  LayersOfWhatMayBeMissing() {
    index.BeginList();
    index.EndList(1);
    Apply(Changes()
              .At(2)
              .Image("i", layers::ImageBytes({"a"}))
              .Stream("whole", layers::StreamBytes("whole", {"i"})));
    Apply(Changes().At(3).Stream("gap", layers::StreamBytes("gap", {"i", "j", "k"})));
  }
  void Apply(const Changes& changes) { index.Apply(changes.all()); }
  std::shared_ptr<LayersCall> Ask(const std::string& stream) {
    auto call = std::make_shared<LayersCall>(stream);
    handler.Serve(call);
    return call;
  }

  layers::Index index{{.tells_missing = true}, nullptr};
  base::SystemClock clock;
  obs::Metrics metrics;
  SlowSource source;
  Freshness freshness{source.barrier(), clock};
  Seeker seeker{source};
  LayersHandler handler{index, freshness, seeker,
                        Lane{[](std::function<void()>& task, const Lane::Order&) -> uint64_t {
                               task();
                               return 1;
                             },
                             [](uint64_t) {}},
                        metrics};
};

TEST_F(LayersOfWhatMayBeMissing, WhatIsThereIsAnsweredAtOnce) {
  EXPECT_THAT(Ask("whole")->answer, StartsWith("200"));
  EXPECT_TRUE(source.sought.empty());
}

TEST_F(LayersOfWhatMayBeMissing, ImagesAreSoughtBeforeTheyAreSaidToBeMissing) {
  for (const char* way : {"built", "from the cache"}) {
    const auto call = Ask("gap");
    EXPECT_EQ(call->answer, "") << way;
    ASSERT_EQ(source.sought.size(), 1u);
    EXPECT_EQ(source.sought[0].first, "/j /k ");
    source.Find(false);
    EXPECT_THAT(call->answer, StartsWith("200"));
    EXPECT_THAT(call->answer, HasSubstr(R"("imageMissing":true)"));
  }
}

TEST_F(LayersOfWhatMayBeMissing, WhatIsFoundIsAnswered) {
  const auto call = Ask("gap");
  Apply(Changes().At(4).Image("j", layers::ListBytes({"child"})));
  source.Find(true);
  EXPECT_EQ(call->answer, "");
  EXPECT_EQ(source.sought[0].first, "/child /k ") << "what it names may be missing, too";
  Apply(Changes()
            .At(5)
            .Image("k", layers::ImageBytes({"b"}))
            .Image("child", layers::ImageBytes({"c"})));
  source.Find(true);
  EXPECT_THAT(call->answer, StartsWith("200"));
  EXPECT_THAT(call->answer, Not(HasSubstr(R"("imageMissing":true)")));
}

TEST_F(LayersOfWhatMayBeMissing, AStreamIsSoughtBeforeItIsNotFound) {
  auto call = Ask("absent");
  EXPECT_EQ(source.sought[0].first, "ns/absent ");
  source.Find(false);
  EXPECT_THAT(call->answer, StartsWith("404"));
  call = Ask("absent");
  Apply(Changes().At(4).Stream("absent", layers::StreamBytes("absent", {"i"})));
  source.Find(true);
  EXPECT_THAT(call->answer, StartsWith("200"));
}

TEST_F(LayersOfWhatMayBeMissing, WhatCantBeKnownIsNotSaid) {
  auto call = Ask("absent");
  source.Find(base::UnavailableError("connection refused"));
  EXPECT_THAT(call->answer, StartsWith("504"));
  call = Ask("gap");
  source.Find(base::ResourceExhaustedError("too many"));
  EXPECT_THAT(call->answer, StartsWith("429"));
}

TEST_F(LayersOfWhatMayBeMissing, NothingIsSoughtWhereTheSourceMissesNothing) {
  source.misses = false;
  EXPECT_THAT(Ask("gap")->answer, HasSubstr(R"("imageMissing":true)"));
  EXPECT_THAT(Ask("absent")->answer, StartsWith("404"));
}

}  // namespace
}  // namespace strata::endpoints
