// What tests of handlers need around them: a call, and a source of records at one revision.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/obs/metrics.h"
#include "server/endpoints/call.h"
#include "server/endpoints/lane.h"
#include "storage/reflector/source.h"

namespace strata::endpoints {

// A GET by alice that keeps its answer, on a connection whose thread is the test's.
class TestCall final : public Call {
 public:
  TestCall(const registry::Group& group, const std::string& url) {
    request.method = "GET";
    info = std::make_shared<const api::RequestInfo>(*api::ParseRequestInfo("GET", url));
    resource = registry::TargetOf({&group}, info->parts).resource;
    user = std::make_shared<auth::UserInfo>(auth::UserInfo{"alice", {}, {}, {}});
  }
  void Respond(http::Response response) override {
    EXPECT_TRUE(answer.empty()) << "answered twice";
    answer = std::to_string(response.status);
    if (response.body != nullptr) answer += " " + *response.body;
    if (const auto* warning = response.headers.Find("warning")) answer += " " + *warning;
  }
  void Post(std::function<void()> task) override { task(); }
  void OnEnd(const std::function<void(End)>& ended) override { end = ended; }

  std::string answer;
  std::function<void(End)> end;
};

// A lane whose work is done at once.
inline Lane AtOnce() {
  return {[](std::function<void()>& task, const Lane::Order&) -> uint64_t {
            task();
            return 1;
          },
          [](uint64_t) {}};
}

// What is sought waits until the test says what there is.
class TestSource final : public reflector::Source, private reflector::Barrier::Backend {
 public:
  explicit TestSource(base::Revision revision = 9) {
    barrier_.Publish(revision, revision, 0, true);
  }

  void Start() override {}
  void Stop() override {}
  reflector::Barrier& barrier() override { return barrier_; }
  bool synced() const override { return true; }
  base::Status connection() const override { return base::OkStatus(); }
  bool may_miss() const override { return misses; }
  void Seek(const std::vector<records::Id>& ids, std::string_view user,
            const Sought& done) override {
    EXPECT_EQ(user, "alice");
    std::string line;
    for (const records::Id& id : ids) line += id.ns + "/" + id.name + " ";
    sought.emplace_back(line, done);
  }
  // One of its watches has come to `revision`, another to `complete`.
  void Come(base::Revision revision, base::Revision complete) {
    barrier_.Publish(revision, revision, 0, false, complete);
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

}  // namespace strata::endpoints
