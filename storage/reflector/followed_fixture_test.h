// Against an etcd that misbehaves. Whatever happens, three things hold: what the consumer has is
// always the backend's state at the revision that it is told; a request that passed the barrier
// sees what was committed before it came; and in the end both are equal.
#pragma once

#include <absl/synchronization/mutex.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "storage/client/client.h"
#include "storage/records/keys.h"
#include "storage/reflector/reflector.h"
#include "test/support/fake_etcd.h"
#include "test/support/waiting.h"

namespace strata::reflector {

using base::Revision;
using std::chrono::milliseconds;
using testing_support::Eventually;
using testing_support::FakeEtcd;

// Holds keys and revisions, and compares them with the backend's history at each step.
class Judge : public Consumer {
 public:
  explicit Judge(const FakeEtcd& etcd) : etcd_(etcd) {}

  void BeginList() override {
    aside_.clear();
    aside_objects_.clear();
  }
  void ListPage(const std::vector<records::Change>& page) override {
    absl::MutexLock lock(&aside_mu_);
    largest_page = std::max(largest_page.load(), page.size());
    for (const auto& change : page) {
      if (!aside_.emplace(keys_.KeyOf(change.id), change.revision).second) ++wrong;  // twice
      aside_objects_[keys_.KeyOf(change.id)] = change.object;
    }
  }
  void EndList(Revision revision) override {
    held_ = std::move(aside_);
    at_ = revision;
    {
      absl::MutexLock lock(&objects_mu_);
      objects_ = std::move(aside_objects_);
    }
    ++lists;
    Check();
  }
  void AbortList() override {
    ++aborts;
    aside_.clear();
  }
  void Apply(const std::vector<Batch>& batches, Revision revision) override {
    Revision last = at_;
    for (const Batch& batch : batches) {
      if (batch.revision <= last) ++wrong;  // twice, or out of order
      last = batch.revision;
      for (const auto& change : batch.changes) {
        if (change.revision != batch.revision) ++wrong;
        absl::MutexLock lock(&objects_mu_);
        if (change.state == records::Change::State::kDeleted) {
          held_.erase(keys_.KeyOf(change.id));
          objects_.erase(keys_.KeyOf(change.id));
        } else {
          held_[keys_.KeyOf(change.id)] = change.revision;
          objects_[keys_.KeyOf(change.id)] = change.object;
        }
      }
      largest_batch = std::max(largest_batch.load(), batch.changes.size());
    }
    if (revision < last || revision < at_) ++wrong;
    at_ = revision;
    Check();
  }

  // What records say, by their keys.
  std::map<std::string, std::string> Objects() {
    absl::MutexLock lock(&objects_mu_);
    return objects_;
  }

  std::atomic<int> lists = 0, aborts = 0, wrong = 0;
  std::atomic<size_t> largest_batch = 0, largest_page = 0;

 private:
  void Check() {
    if (!etcd_.WasEver(at_, keys_.begin(), keys_.end(), held_)) ++wrong;
  }

  const FakeEtcd& etcd_;
  const records::Keys keys_{"openshift.io"};
  absl::Mutex aside_mu_;  // pages come from several threads
  // The reflector's thread alone, but for aside_ in ListPage.
  std::map<std::string, Revision> held_, aside_;
  std::map<std::string, std::string> aside_objects_;
  absl::Mutex objects_mu_;
  std::map<std::string, std::string> objects_ ABSL_GUARDED_BY(objects_mu_);
  Revision at_ = 0;
};

inline std::string Image(const std::string& name) {
  return "/openshift.io/images/" + name;
}

// Who asks waits for a list, however slow the machine is.
inline Reflector::Options Patient() {
  return {
      .barrier = {.read_timeout = std::chrono::seconds(20), .patience = std::chrono::seconds(20)}};
}

// An etcd, a reflector that follows it, and who judges what it hears.
struct Followed {
  ~Followed() {
    if (reflector != nullptr) reflector->Stop();
    EXPECT_EQ(judge.wrong, tolerated)
        << "the index was wrong for its revision, or went out of order";
  }

  void Start(Reflector::Options options = Patient(), client::Options way = {}) {
    if (way.endpoints.empty()) way.endpoints = {etcd.url()};
    client = *client::Client::Create(way, obs::NullLogger(), metrics);
    options.backoff = {.first = milliseconds(2), .most = milliseconds(20)};
    reflector = std::make_unique<Reflector>(*client, records::Keys("openshift.io"), judge, options,
                                            clock, obs::NullLogger(), metrics);
    reflector->Start();
    AwaitSync();
  }
  void AwaitSync() {
    ASSERT_TRUE(Eventually([this] { return reflector->synced(); }));
  }
  void AwaitStandby() {
    ASSERT_TRUE(Eventually([this] { return reflector->has_standby(); }));
  }
  std::future<base::StatusOr<Revision>> Ask(milliseconds timeout = std::chrono::seconds(20)) {
    auto promise = std::make_shared<std::promise<base::StatusOr<Revision>>>();
    reflector->barrier().WaitFresh(clock.Now() + timeout, [promise](base::StatusOr<Revision> r) {
      promise->set_value(std::move(r));
    });
    return promise->get_future();
  }
  void ExpectFresh() {
    const Revision committed = etcd.revision();
    const auto at = Ask().get();
    ASSERT_TRUE(at.ok()) << at.status();
    EXPECT_GE(*at, committed);
  }

  base::SystemClock clock;
  obs::Metrics metrics;
  FakeEtcd etcd;
  Judge judge{etcd};
  int tolerated = 0;
  std::unique_ptr<client::Client> client;
  std::unique_ptr<Reflector> reflector;
};

class FaultyEtcd : public testing::Test, protected Followed {};

}  // namespace strata::reflector
