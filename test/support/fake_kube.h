// A kube-apiserver that answers by hand: requests wait until the test answers them, in its thread.
#pragma once

#include <absl/synchronization/mutex.h>

#include <algorithm>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "server/kube/api.h"

namespace strata::testing_support {

// For one thread, but for RunAfter.
class FakeKube final : public kube::Api {
 public:
  struct Pending {
    kube::Request request;
    Data data;  // of a stream
    Done done;
  };

  void Send(kube::Request request, Done done) override {
    pending.push_back({std::move(request), nullptr, std::move(done)});
  }
  void Stream(kube::Request request, Data data, Done done) override {
    pending.push_back({std::move(request), std::move(data), std::move(done)});
  }
  void RunAfter(std::chrono::milliseconds delay, std::function<void()> task) override {
    absl::MutexLock lock(&mu_);
    tasks.emplace_back(delay, std::move(task));
  }
  bool has_task() const {
    absl::MutexLock lock(&mu_);
    return !tasks.empty();
  }

  // The oldest request, which is then the caller's to answer.
  Pending Take() {
    Pending taken = std::move(pending.front());
    pending.pop_front();
    return taken;
  }
  void Answer(base::StatusOr<kube::Response> answer) { Take().done(std::move(answer)); }
  // The bytes come in parts of that size to the oldest request, a stream. As from the client, who
  // wants no more of them is told the end.
  void Bring(std::string_view bytes, size_t part) {
    for (size_t at = 0; at < bytes.size(); at += part) {
      if (pending.front().data(bytes.substr(at, part))) continue;
      return Answer(kube::Response{200, ""});
    }
  }
  // Runs the oldest task, however long it was to wait; that time.
  std::chrono::milliseconds RunTask() {
    std::pair<std::chrono::milliseconds, std::function<void()>> next;
    {
      absl::MutexLock lock(&mu_);
      next = std::move(tasks.front());
      tasks.pop_front();
    }
    next.second();
    return next.first;
  }

  // The oldest one that was to wait so long; false if there is none.
  bool RunTaskOf(std::chrono::milliseconds delay) {
    std::function<void()> task;
    {
      absl::MutexLock lock(&mu_);
      const auto found = std::find_if(tasks.begin(), tasks.end(),
                                      [&](const auto& one) { return one.first == delay; });
      if (found == tasks.end()) return false;
      task = std::move(found->second);
      tasks.erase(found);
    }
    task();
    return true;
  }

  std::deque<Pending> pending;
  std::deque<std::pair<std::chrono::milliseconds, std::function<void()>>> tasks;

 private:
  mutable absl::Mutex mu_;
};

}  // namespace strata::testing_support
