#include "server/endpoints/builds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <utility>

#include "server/layers/records_fixture_test.h"

namespace strata::endpoints {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class WaitingCall final : public Call {
 public:
  WaitingCall(const std::string& name, const std::string& of_user) {
    auto asked = std::make_shared<api::RequestInfo>();
    asked->ns = "ns";
    asked->name = name;
    info = std::move(asked);
    auto who = std::make_shared<auth::UserInfo>();
    who->name = of_user;
    user = std::move(who);
  }
  void Respond(http::Response response) override {
    EXPECT_EQ(status, 0) << "answered twice";
    status = response.status;
    body = std::move(response.body);
  }
  void Post(std::function<void()> task) override { task(); }
  void OnEnd(const std::function<void(End)>& ended) override { end = ended; }
  void Guard(absl::FunctionRef<void()> task) override {
    try {
      task();
    } catch (const std::exception&) {
      status = 599;
    }
  }

  int status = 0;
  std::shared_ptr<const std::string> body;
  std::function<void(End)> end;
};

void Tell(const std::shared_ptr<Call>& call, const Builds::Result& built, const layers::Form&) {
  http::Response response;
  if (built.ok()) {
    response.body = std::shared_ptr<const std::string>(*built, &(*built)->body);
  } else {
    response.status = built.status().code() == base::StatusCode::kNotFound ? 404 : 500;
  }
  call->Respond(std::move(response));
}

// A lane that runs its tasks when the test says so.
class LargeBuilds : public testing::Test {
 protected:
  LargeBuilds() {
    index.BeginList();
    index.EndList(1);
    layers::Changes changes;
    std::vector<std::string> names;
    for (int i = 0; i < 400; ++i) {
      names.push_back("i" + std::to_string(i));
      changes.Image(names.back(), layers::ImageBytes({"a"}));
    }
    for (const char* stream : {"app", "other"})
      changes.Stream(stream, layers::StreamBytes(stream, names));
    index.Apply(changes.all());
  }

  Lane Queue() {
    return {[this](std::function<void()>& task, const Lane::Order& order) -> uint64_t {
              if (tasks.size() >= room) return 0;
              users.emplace_back(order.user);
              bytes.push_back(order.bytes);
              tasks.emplace(++last, std::move(task));
              return last;
            },
            [this](uint64_t ticket) { tasks.erase(ticket); }};
  }
  std::shared_ptr<WaitingCall> Ask(const std::string& name, const std::string& user = "alice",
                                   const layers::Form& form = {}) {
    auto call = std::make_shared<WaitingCall>(name, user);
    builds.Join(call, form, 400);
    return call;
  }
  void RunOne() {
    ASSERT_FALSE(tasks.empty());
    const auto task = std::move(tasks.begin()->second);
    tasks.erase(tasks.begin());
    task();
  }

  size_t room = 100;
  uint64_t last = 0;
  std::map<uint64_t, std::function<void()>> tasks;
  std::vector<std::string> users;
  std::vector<size_t> bytes;
  obs::Metrics metrics;
  layers::Index index{{.cache_bytes = 0}, {}};
  Builds builds{index, Queue(), &Tell, metrics};
};

TEST_F(LargeBuilds, WhoAsksForTheSameWaitsForOneAndGetsTheSameBytes) {
  const auto first = Ask("app"), second = Ask("app", "bob"), third = Ask("app");
  const auto protobuf = Ask("app", "alice", {{wire::MediaType::kProtobuf}});
  const auto other = Ask("other");
  EXPECT_THAT(users, ElementsAre("alice", "bob", "alice", "alice"))
      << "once in the queue of each user";
  EXPECT_THAT(bytes, ElementsAre(testing::Gt(0u), 0u, testing::Gt(0u), testing::Gt(0u)));
  RunOne();
  EXPECT_EQ(first->status, 200);
  EXPECT_EQ(first->body, second->body);
  EXPECT_EQ(first->body, third->body);
  EXPECT_EQ(protobuf->status, 0);
  EXPECT_EQ(tasks.size(), 2u) << "nothing is left to do for bob";
  RunOne();
  RunOne();
  EXPECT_EQ(protobuf->status, 200);
  EXPECT_THAT(*other->body, HasSubstr(R"("name":"other")"));
  EXPECT_THAT(metrics.Text(), HasSubstr("strata_builds_joined_total 2"));
  EXPECT_THAT(metrics.Text(), HasSubstr("strata_builds 0"));
}

TEST_F(LargeBuilds, WhatIsAskedForAfterAnAnswerWasMadeIsMadeAnew) {
  Ask("app");
  RunOne();
  index.Apply(layers::Changes().Image("i5", layers::ImageBytes({"newer"})).all());
  const auto later = Ask("app");
  EXPECT_EQ(later->status, 0);
  RunOne();
  EXPECT_THAT(*later->body, HasSubstr("newer"));
}

TEST_F(LargeBuilds, WhatChangesBeforeItIsBegunIsInIt) {
  const auto before = Ask("app");
  index.Apply(layers::Changes().Image("i5", layers::ImageBytes({"newer"})).all());
  const auto after = Ask("app");
  EXPECT_EQ(tasks.size(), 1u);
  RunOne();
  EXPECT_THAT(*after->body, HasSubstr("newer"));
  EXPECT_EQ(before->body, after->body);
}

TEST_F(LargeBuilds, WhatNobodyWaitsForIsntMade) {
  const auto first = Ask("app"), second = Ask("app", "bob");
  first->end(Call::End::kClientIsGone);
  EXPECT_EQ(tasks.size(), 2u) << "bob still waits";
  second->end(Call::End::kTimeIsOver);
  EXPECT_TRUE(tasks.empty());
  EXPECT_EQ(first->status, 499);
  EXPECT_EQ(second->status, 504);
  EXPECT_THAT(metrics.Text(), HasSubstr("strata_builds_abandoned_total 1"));
  const auto next = Ask("app");
  RunOne();
  EXPECT_EQ(next->status, 200);
  next->end(Call::End::kTimeIsOver);
}

TEST_F(LargeBuilds, WhoDoesntFitIsRefusedAndWhoJoinsIsnt) {
  room = 1;
  const auto first = Ask("app"), joined = Ask("app", "bob"), refused = Ask("other", "bob");
  EXPECT_EQ(refused->status, 429);
  refused->end(Call::End::kTimeIsOver);
  RunOne();
  EXPECT_EQ(first->status, 200);
  EXPECT_EQ(joined->status, 200);
}

TEST_F(LargeBuilds, AStreamThatIsGoneMeanwhileIsNotFound) {
  const auto call = Ask("app");
  index.Apply(layers::Changes().Delete(layers::Change::Kind::kImageStream, "app").all());
  RunOne();
  EXPECT_EQ(call->status, 404);
}

TEST_F(LargeBuilds, NothingIsMadeAfterTheEnd) {
  const auto call = Ask("app");
  builds.Stop();
  RunOne();
  EXPECT_EQ(call->status, 0);
  EXPECT_EQ(call.use_count(), 1) << "it isn't held either";
}

}  // namespace
}  // namespace strata::endpoints
