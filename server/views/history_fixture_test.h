// A history of views, over an index that changes.
#pragma once

#include <rapidcheck.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/views/fixture_test.h"
#include "server/views/timeline.h"
#include "storage/records/keys.h"
#include "storage/replica/history.h"

namespace strata::views {

using layers::TaggedBytes;

inline const records::Keys kKeys("openshift.io");

template <typename History, records::Kind kKind>
struct HistoryServer {
  explicit HistoryServer(const Timeline::Options& options = {}, size_t max_entries = 1 << 18)
      : index({.max_entries_per_answer = max_entries, .for_views = true}, {}),
        timeline(options, clock) {
    index.Observe(&timeline);
    List(1, {});
  }
  void List(base::Revision revision, const Changes& changes) {
    index.BeginList();
    index.AddToList(changes.all());
    index.EndList(revision);
  }
  void Apply(const Changes& changes) { index.Apply(changes.all()); }

  static replica::Selection All(base::Revision revision, const std::string& ns = "") {
    return {.begin = kKeys.BeginOf(kKind, ns), .end = kKeys.EndOf(kKind, ns), .revision = revision};
  }
  std::vector<replica::Event> Events(base::Revision from, base::Revision to) const {
    std::vector<replica::Event> events;
    const auto next = history.Changes(
        {from, to}, [&](replica::Event event) { events.push_back(std::move(event)); });
    EXPECT_TRUE(next.ok() && *next == to + 1);
    return events;
  }
  // The name of each event, with + for one that came and - for one that went.
  std::vector<std::string> Told(base::Revision at) const {
    std::vector<std::string> told;
    for (const replica::Event& event : Events(at, at)) {
      const bool is_gone = event.now.state == records::Change::State::kDeleted;
      told.push_back((is_gone ? "-" : event.before ? "" : "+") + event.now.id.name);
    }
    return told;
  }
  std::vector<std::string> Names(const replica::Selection& selection) const {
    std::vector<std::string> names;
    const replica::Page page = *history.Read(selection);
    for (const records::Change& one : page.records)
      names.push_back(one.id.ns.empty() ? one.id.name : one.id.ns + "/" + one.id.name);
    return names;
  }

  base::FakeClock clock;
  layers::Index index;
  Timeline timeline;
  History history{index, timeline, kKeys};
};

// One random change of few images and streams.
inline void AddRandomChange(Changes& changes) {
  const auto pick = [](int n) { return *rc::gen::inRange(0, n); };
  const auto names = [&](const char* prefix, int most) {
    std::vector<std::string> some;
    for (int n = pick(most + 1); n > 0; --n) some.push_back(prefix + std::to_string(pick(6)));
    return some;
  };
  const bool is_stream = pick(3) == 0;
  const auto kind = is_stream ? Change::Kind::kImageStream : Change::Kind::kImage;
  const std::string name = is_stream ? std::to_string(pick(3)) : "i" + std::to_string(pick(6));
  switch (pick(8)) {
    case 0:
    case 1:
      changes.Delete(kind, name);
      break;
    case 2:
      changes.Unreadable(kind, name, "broken");
      break;
    default:
      if (is_stream) {
        changes.Stream(name, TaggedBytes("s", {{"v1", names("i", 3)}, {"v2", names("i", 2)}}));
      } else if (pick(3) == 0) {
        changes.Image(name, ListBytes(names("i", 3)));
      } else {
        changes.Image(name, ImageBytes(names("l", 3)));
      }
  }
}

// Of one revision: at most one of each record.
inline void AddRandomChanges(Changes& changes, base::Revision revision) {
  changes.At(revision);
  const int count = *rc::gen::inRange(1, 3);
  std::set<std::pair<Change::Kind, std::string>> changed;
  while (changed.size() < static_cast<size_t>(count)) {
    Changes more;
    AddRandomChange(more);
    const Change& change = more.all().front();
    if (changed.emplace(change.kind, change.name).second) changes.Add(change);
  }
}

}  // namespace strata::views
