// A hub over a history in memory, and clients that watch.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/objects/history_fixture_test.h"
#include "server/objects/hub.h"
#include "server/objects/image_kinds.h"
#include "server/objects/watch.h"
#include "server/registry/image_v1.h"
#include "test/support/waiting.h"

namespace strata::objects {

using namespace std::chrono_literals;
using Frames = std::vector<std::string>;

inline std::string Member(const std::string& json, const std::string& name) {
  const std::string key = "\"" + name + "\":\"";
  const size_t at = json.find(key);
  if (at == json.npos) return "";
  return json.substr(at + key.size(), json.find('"', at + key.size()) - at - key.size());
}

inline std::string Short(const std::string& json) {
  const std::string type = Member(json, "type");
  if (type == "ERROR") return type + " " + Member(json, "message");
  std::string end = json.find("initial-events-end") == json.npos ? "" : " end";
  return type + " " + Member(json, "namespace") + "/" + Member(json, "name") + "@" +
         Member(json, "resourceVersion") + end;
}

// "ADDED ns/name@revision" of each line.
inline Frames FramesOf(const std::string& out) {
  Frames frames;
  for (size_t at = 0; at < out.size();) {
    const size_t end = out.find('\n', at);
    frames.push_back(Short(out.substr(at, end - at)));
    at = end + 1;
  }
  return frames;
}

// All that there is for it now.
inline Frames TakeAll(Watch& watch) {
  Frames frames;
  Watch::Next next = Watch::Next::kFrames;
  while (next == Watch::Next::kFrames || next == Watch::Next::kWork) {
    std::string out;
    next = watch.Take(out);
    std::ranges::move(FramesOf(out), std::back_inserter(frames));
    if (next == Watch::Next::kWork) watch.Work();
  }
  EXPECT_EQ(next, Watch::Next::kWait);
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
  void StartHub(size_t cache_bytes = 64 << 20, size_t buffer_bytes = 256 << 20) {
    hub_ = std::make_unique<Hub>(history_, history_.keys(), std::vector{&kinds_.streams},
                                 Hub::Options{cache_bytes, buffer_bytes}, clock_, log_, metrics_);
    hub_->EndList(history_.revision());
    hub_->Start();
  }
  // What was done to the history since is told.
  void Tell() { hub_->Apply({}, history_.revision()); }
  void TellAndAwait() {
    Tell();
    testing_support::Eventually([this] { return hub_->told() == history_.revision(); });
  }
  // Puts so many of namespace a, at one revision; what watches are told of them.
  Frames PutMany(int count, size_t size) {
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i) names.push_back("x" + std::to_string(i));
    const base::Revision revision = history_.PutAll("a", names, {}, size);
    Frames frames;
    for (const std::string& name : names)
      frames.push_back("ADDED a/" + name + "@" + std::to_string(revision));
    return frames;
  }
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

}  // namespace strata::objects
