#include "storage/replica/reading.h"

#include <algorithm>

#include "storage/reflector/key_range.h"

namespace strata::replica {

size_t BytesOf(const records::Change& change) {
  return change.id.ns.size() + change.id.name.size() + change.object.size() + change.reason.size();
}

base::StatusOr<Page> Reading::Read(const Selection& selection) const {
  const size_t limit = selection.limit == 0 ? SIZE_MAX : selection.limit;
  const size_t max_bytes = selection.max_bytes == 0 ? SIZE_MAX : selection.max_bytes;
  const auto known = selection.count ? counts_.Find(selection) : std::nullopt;
  const bool walks_on = selection.count && !known;
  Page page;
  size_t bytes = 0;
  int64_t keys = 0, taken = 0;
  std::string last;
  base::Status read = look_([&](const engine::View& view) {
    STRATA_RETURN_IF_ERROR(view.CheckRevision(selection.revision));
    const auto visit = [&](const engine::Version& version) -> base::StatusOr<bool> {
      ++keys;
      if (!page.next.empty()) return true;
      if (page.records.size() == limit || bytes >= max_bytes) {
        page.next = reflector::After(last);
        return walks_on;
      }
      STRATA_ASSIGN_OR_RETURN(engine::KeyValue kv, view.Load(version, /*with_value=*/true));
      if (auto id = keys_.Parse(kv.key)) {
        page.records.push_back(decode_(*std::move(id), std::move(kv.value), kv.mod_revision));
        bytes += BytesOf(page.records.back());
      }
      last = std::move(kv.key);
      ++taken;
      return true;
    };
    return view.Walk(selection.begin, selection.end, selection.revision, visit);
  });
  if (!read.ok()) return read;
  if (selection.count) {
    page.count = known.value_or(keys);
    if (!page.next.empty()) counts_.Keep(selection, page.next, page.count - taken);
  }
  return page;
}

base::StatusOr<std::optional<records::Change>> Reading::FindIn(const engine::View& view,
                                                               const records::Id& id,
                                                               base::Revision revision) const {
  STRATA_RETURN_IF_ERROR(view.CheckRevision(revision));
  STRATA_ASSIGN_OR_RETURN(auto kv, view.Find(keys_.KeyOf(id), revision));
  if (!kv) return std::nullopt;
  return decode_(id, std::move(kv->value), kv->mod_revision);
}

base::StatusOr<std::optional<records::Change>> Reading::Find(const records::Id& id,
                                                             base::Revision revision) const {
  std::optional<records::Change> found;
  STRATA_RETURN_IF_ERROR(look_([&](const engine::View& view) -> base::Status {
    STRATA_ASSIGN_OR_RETURN(found, FindIn(view, id, revision));
    return base::OkStatus();
  }));
  return found;
}

base::StatusOr<Event> Reading::EventOf(const engine::View& view, records::Id id,
                                       const engine::ChangeRef& change) const {
  const base::Revision at = change.at.revision;
  Event event;
  STRATA_ASSIGN_OR_RETURN(event.before, FindIn(view, id, at - 1));
  event.now = change.record.kind == engine::Kind::kTombstone
                  ? records::Deleted(std::move(id), at)
                  : decode_(std::move(id), std::string(change.record.value), at);
  return event;
}

base::StatusOr<base::Revision> Reading::Changes(const Interval& interval,
                                                absl::FunctionRef<void(Event)> visit) const {
  const base::Revision from = interval.from, to = interval.to;
  base::Revision next = from;
  STRATA_RETURN_IF_ERROR(look_([&](const engine::View& view) {
    if (from <= view.compacted()) return base::OutOfRangeError("these changes are forgotten");
    if (to > view.revision()) return base::OutOfRangeError("these changes aren't there yet");
    next = std::max(from, to + 1);
    size_t bytes = 0;
    return view.History(
        from, [&](const engine::ChangeRef& change, bool last) -> base::StatusOr<bool> {
          if (change.at.revision > to) return false;
          if (interval.stop.stop_requested()) return base::CancelledError("it is enough");
          auto id = keys_.Parse(change.record.key);
          if (id && interval.Wants(change.at.revision, *id)) {
            STRATA_ASSIGN_OR_RETURN(Event event, EventOf(view, *std::move(id), change));
            bytes += BytesOf(event.now);
            if (event.before) bytes += BytesOf(*event.before);
            visit(std::move(event));
          } else if (id) {
            // It was looked at, while others wait.
            bytes += change.record.key.size() + change.record.value.size();
          }
          if (!last || bytes < interval.max_bytes) return true;
          next = change.at.revision + 1;
          return false;
        });
  }));
  return next;
}

}  // namespace strata::replica
