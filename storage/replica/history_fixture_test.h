// Both histories over a backend of their own, and short words for what tests do with them.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "storage/client/client.h"
#include "storage/engine/store_fixture_test.h"
#include "storage/records/keys.h"
#include "storage/replica/replica.h"
#include "storage/replica/store_history.h"
#include "test/support/fake_etcd.h"

namespace strata::replica {

using base::Revision;

inline const records::Keys kKeys{"openshift.io"};

inline records::Id Image(const std::string& name) {
  return {records::Kind::kImage, "", name};
}
inline records::Id Stream(const std::string& ns, const std::string& name) {
  return {records::Kind::kImageStream, ns, name};
}
inline std::string KeyOf(const records::Id& id) {
  return kKeys.KeyOf(id);
}

// A transaction: keys with their new value, or none for a deletion.
using Changes = std::vector<std::pair<std::string, std::optional<std::string>>>;

// What both are told to do.
class Kept {
 public:
  virtual ~Kept() = default;
  virtual const History& history() const = 0;
  virtual Revision Commit(const Changes& changes) = 0;
  // Nothing but `revision` and what follows is known from now on.
  virtual void Forget(Revision revision) = 0;

  Revision Put(const records::Id& id, const std::string& object) {
    return Commit({{KeyOf(id), records::Encode(id.kind, object)}});
  }
  Revision Delete(const records::Id& id) { return Commit({{KeyOf(id), std::nullopt}}); }
};

class OnStore : public Kept {
 public:
  const History& history() const override { return history_; }
  Revision Commit(const Changes& changes) override {
    engine::TxnRequest txn;
    for (const auto& [key, value] : changes) {
      if (value) {
        txn.success.push_back({engine::PutRequest{.key = key, .value = *value}});
      } else {
        txn.success.push_back({engine::DeleteRequest{.key = key}});
      }
    }
    auto done = store_->Txn(txn);
    EXPECT_TRUE(done.ok()) << done.status();
    return done.ok() ? done->revision : 0;
  }
  void Forget(Revision revision) override { store_.Compact(revision); }

 private:
  engine::StoreFixture store_;
  StoreHistory history_{*store_, kKeys};
};

// It is told by hand what a reflector would tell.
class OnReplica : public Kept {
 public:
  explicit OnReplica(Replica::Options options = {}) {
    options.history_age = kAge;
    client_ = *client::Client::Create({.endpoints = {etcd_.url()}}, obs::NullLogger(), metrics_);
    auto made = Replica::Create(client_.get(), kKeys, options, clock_, obs::NullLogger(), metrics_);
    EXPECT_TRUE(made.ok()) << made.status();
    replica_ = *std::move(made);
    List();
  }

  const History& history() const override { return *replica_; }
  Revision Commit(const Changes& changes) override {
    reflector::Batch batch{etcd_.Commit(changes), {}};
    for (const auto& [key, value] : changes) {
      auto id = kKeys.Parse(key);
      if (!id) continue;
      batch.changes.push_back(value ? records::Decode(*id, *value, batch.revision)
                                    : records::Deleted(*id, batch.revision));
    }
    const Revision at = batch.revision;
    clock_.Advance(std::chrono::seconds(1));
    at_[at] = clock_.Now();
    std::vector<reflector::Batch> batches;
    if (!batch.changes.empty()) batches.push_back(std::move(batch));
    replica_->Apply(batches, at);
    return at;
  }
  void Forget(Revision revision) override {
    etcd_.Compact(revision);
    clock_.Advance(at_[revision] + kAge - clock_.Now());
    for (int step = 0; step < 4; ++step) Progress();
  }

  void Progress() { replica_->Apply({}, etcd_.revision()); }
  void List() {
    replica_->BeginList();
    ListPages();
    replica_->EndList(etcd_.revision());
  }
  void ListPages() {
    std::vector<records::Change> page;
    for (const auto& [key, value] : etcd_.state()) {
      if (auto id = kKeys.Parse(key))
        page.push_back(records::Decode(*id, value.value, value.modified));
    }
    const auto middle = page.begin() + static_cast<long>(page.size() / 2);
    replica_->ListPage({middle, page.end()});
    replica_->ListPage({page.begin(), middle});
  }

  Replica& replica() { return *replica_; }
  testing_support::FakeEtcd& etcd() { return etcd_; }
  base::FakeClock& clock() { return clock_; }
  double metric(const std::string& name) { return metrics_.AddGauge(name, "").value(); }
  double counted(const std::string& name) { return metrics_.AddCounter(name, "").value(); }

 private:
  static constexpr std::chrono::seconds kAge{64};  // so that each second is forgotten by itself

  testing_support::FakeEtcd etcd_;
  obs::Metrics metrics_;
  base::FakeClock clock_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<Replica> replica_;
  std::map<Revision, base::MonotonicTime> at_;
};

// "name=object@revision", or "name!@revision" where it can't be read, "name-@revision" where it
// was deleted.
inline std::string Text(const records::Change& change) {
  using State = records::Change::State;
  const std::string name = (change.id.ns.empty() ? "" : change.id.ns + "/") + change.id.name;
  const std::string state = change.state == State::kPresent      ? "=" + change.object
                            : change.state == State::kUnreadable ? "!"
                                                                 : "-";
  return name + state + "@" + std::to_string(change.revision);
}

inline base::MonotonicTime InTime() {
  return std::chrono::steady_clock::now() + std::chrono::seconds(10);
}

// The records with blanks between, "+" where there are more, and the count if it was asked for; or
// the code of the error.
inline std::string ReadText(const History& history, Selection selection) {
  if (selection.end.empty()) selection.begin = kKeys.begin(), selection.end = kKeys.end();
  selection.deadline = InTime();
  const auto page = history.Read(selection);
  if (!page.ok()) return std::string(absl::StatusCodeToString(page.status().code()));
  std::string text;
  for (const auto& record : page->records) text += (text.empty() ? "" : " ") + Text(record);
  if (!page->next.empty()) text += " +";
  return selection.count ? text + " of " + std::to_string(page->count) : text;
}

inline std::string FindText(const History& history, const records::Id& id, Revision revision) {
  const auto found = history.Find(id, revision, InTime());
  if (!found.ok()) return std::string(absl::StatusCodeToString(found.status().code()));
  return *found ? Text(**found) : "";
}

// The changes as "now(before)", and the revision to go on from.
inline std::string ChangesText(const History& history, Revision from, Revision to,
                               size_t max_bytes = SIZE_MAX) {
  std::string text;
  const auto next = history.Changes({from, to, max_bytes}, [&](const Event& event) {
    text += Text(event.now) + "(" + (event.before ? Text(*event.before) : "") + ") ";
  });
  if (!next.ok()) return std::string(absl::StatusCodeToString(next.status().code()));
  return text + "then " + std::to_string(*next);
}

}  // namespace strata::replica
