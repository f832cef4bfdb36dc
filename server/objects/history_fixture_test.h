// A history in memory, for tests of what reads one: records of image streams by namespace and name.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proto/image/image_v1.pb.h"
#include "storage/records/keys.h"
#include "storage/replica/history.h"

namespace strata::objects {

class TestHistory final : public replica::History {
  template <typename Do>
  auto Locked(const Do& what) const {
    std::lock_guard lock(mu_);
    return what();
  }

 public:
  using Labels = std::map<std::string, std::string>;

  const records::Keys& keys() const { return keys_; }
  base::Revision revision() const {
    return Locked([&] { return revision_; });
  }

  // Each is a revision, which is returned.
  base::Revision Put(const std::string& ns, const std::string& name, const Labels& labels = {},
                     size_t size = 0) {
    return PutRecord({records::Kind::kImageStream, ns, name}, Stream(ns, name, labels, size));
  }
  base::Revision Put(const image::v1::ImageStream& stream) {
    return PutRecord(
        {records::Kind::kImageStream, stream.metadata().namespace_(), stream.metadata().name()},
        stream.SerializeAsString());
  }
  // All of them are one.
  base::Revision PutAll(const std::string& ns, const std::vector<std::string>& names,
                        const Labels& labels = {}, size_t size = 0) {
    return Locked([&] {
      ++revision_;
      for (const std::string& name : names)
        AddPresent({records::Kind::kImageStream, ns, name}, Stream(ns, name, labels, size));
      return revision_;
    });
  }
  base::Revision PutRecord(const records::Id& id, const std::string& object) {
    return Locked([&] {
      ++revision_;
      AddPresent(id, object);
      return revision_;
    });
  }
  base::Revision Spoil(const std::string& ns, const std::string& name) {
    return Locked([&] {
      ++revision_;
      Add({{records::Kind::kImageStream, ns, name},
           records::Change::State::kUnreadable,
           revision_,
           "",
           "broken"});
      return revision_;
    });
  }
  base::Revision Delete(const std::string& ns, const std::string& name) {
    return Locked([&] {
      ++revision_;
      Add({{records::Kind::kImageStream, ns, name},
           records::Change::State::kDeleted,
           revision_,
           "",
           ""});
      return revision_;
    });
  }
  // What came before it is known no more, for all was listed anew.
  void Forget(base::Revision before) {
    Locked([&] {
      ++epoch_;
      return oldest_ = before;
    });
  }

  // Somebody reads changes, and `done` is called once, before he hears of the one with that number.
  void Before(size_t number, std::function<void()> done) {
    std::lock_guard lock(mu_);
    before_ = {number, std::move(done)};
  }

  // Somebody reads changes, and once he doesn't get as far as the one with that number.
  void FailBefore(size_t number) {
    std::lock_guard lock(mu_);
    fails_before_ = number;
  }

  // How many changes were told to whoever has read them.
  size_t told() const { return told_; }

  base::Revision oldest() const override {
    return Locked([&] { return oldest_; });
  }

  uint64_t epoch() const override { return epoch_; }

  base::StatusOr<replica::Page> Read(const replica::Selection& selection) const override {
    std::lock_guard lock(mu_);
    if (selection.revision < oldest_) return base::OutOfRangeError("compacted");
    replica::Page page;
    size_t bytes = 0;
    for (auto at = versions_.lower_bound(selection.begin);
         at != versions_.end() && at->first < selection.end; ++at) {
      const records::Change* change = At(at->second, selection.revision);
      if (change == nullptr || change->state == records::Change::State::kDeleted) continue;
      ++page.count;
      const bool full = (selection.limit > 0 && page.records.size() == selection.limit) ||
                        (selection.max_bytes > 0 && bytes >= selection.max_bytes);
      if (full && page.next.empty()) page.next = at->first;
      if (full && !selection.count) break;
      if (full) continue;
      page.records.push_back(*change);
      bytes += change->object.size();
    }
    return page;
  }

  base::StatusOr<std::optional<records::Change>> Find(const records::Id& id,
                                                      base::Revision revision,
                                                      base::MonotonicTime) const override {
    std::lock_guard lock(mu_);
    const auto found = versions_.find(keys_.KeyOf(id));
    const records::Change* change =
        found == versions_.end() ? nullptr : At(found->second, revision);
    if (change == nullptr || change->state == records::Change::State::kDeleted) return std::nullopt;
    return *change;
  }

  base::StatusOr<base::Revision> Changes(
      const replica::Interval& interval,
      absl::FunctionRef<void(replica::Event event)> visit) const override {
    const base::Revision from = interval.from;
    base::Revision to = interval.to;
    std::vector<replica::Event> events;
    {
      std::lock_guard lock(mu_);
      if (from <= oldest_) return base::OutOfRangeError("compacted");
      size_t bytes = 0;
      for (auto at = log_.lower_bound(from); at != log_.end() && at->first <= to; ++at) {
        if (bytes >= interval.max_bytes && !events.empty() &&
            events.back().now.revision != at->first) {
          to = at->first - 1;
          break;
        }
        replica::Event event{at->second, std::nullopt};
        const auto& versions = versions_.at(keys_.KeyOf(at->second.id));
        if (const records::Change* before = At(versions, at->first - 1);
            before != nullptr && before->state != records::Change::State::kDeleted)
          event.before = *before;
        bytes += event.now.object.size() + 1;
        events.push_back(std::move(event));
      }
    }
    for (size_t i = 0; i < events.size(); ++i) {
      CallBefore(i);
      if (FailsBefore(i)) return base::DataLossError("damaged");
      if (interval.stop.stop_requested()) return base::CancelledError("it is enough");
      if (!interval.Wants(events[i].now.revision, events[i].now.id)) continue;
      ++told_;
      visit(std::move(events[i]));
    }
    return std::max(from, to + 1);
  }

 private:
  using Versions = std::map<base::Revision, records::Change>;

  static std::string Stream(const std::string& ns, const std::string& name, const Labels& labels,
                            size_t size) {
    image::v1::ImageStream stream;
    stream.mutable_metadata()->set_namespace_(ns);
    stream.mutable_metadata()->set_name(name);
    for (const auto& [key, value] : labels)
      (*stream.mutable_metadata()->mutable_labels())[key] = value;
    if (size > 0) (*stream.mutable_metadata()->mutable_annotations())["size"].assign(size, 'x');
    return stream.SerializeAsString();
  }
  void AddPresent(const records::Id& id, const std::string& object) {
    Add({id, records::Change::State::kPresent, revision_, object, ""});
  }
  void Add(records::Change change) {
    log_.emplace(change.revision, change);
    versions_[keys_.KeyOf(change.id)][change.revision] = std::move(change);
  }
  bool FailsBefore(size_t number) const {
    std::lock_guard lock(mu_);
    if (fails_before_ != number) return false;
    fails_before_.reset();
    return true;
  }
  void CallBefore(size_t number) const {
    std::function<void()> done;
    {
      std::lock_guard lock(mu_);
      if (before_.first == number) done.swap(before_.second);
    }
    if (done) done();
  }
  static const records::Change* At(const Versions& versions, base::Revision revision) {
    const auto after = versions.upper_bound(revision);
    return after == versions.begin() ? nullptr : &std::prev(after)->second;
  }

  const records::Keys keys_{"openshift.io"};
  mutable std::mutex mu_;
  base::Revision revision_ = 1, oldest_ = 1;
  std::atomic<uint64_t> epoch_ = 0;
  mutable std::atomic<size_t> told_ = 0;
  std::map<std::string, Versions> versions_;
  std::multimap<base::Revision, records::Change> log_;
  mutable std::pair<size_t, std::function<void()>> before_;
  mutable std::optional<size_t> fails_before_;
};

}  // namespace strata::objects
