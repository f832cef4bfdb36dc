// Whole records as they were at a revision, and what changed since: what gets, lists and watches
// are made of.
//
// There is one implementation of reading, storage/engine's, and two of having: the embedded store
// itself, and a replica of a backend (replica.h).
#pragma once

#include <absl/functional/function_ref.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "storage/records/record.h"

namespace strata::replica {

// Records of [begin, end), keys of the backend, as they were at one revision.
struct Selection {
  std::string begin;
  std::string end;
  base::Revision revision = 0;
  size_t limit = 0;      // records; 0: all
  size_t max_bytes = 0;  // of records, after which a page ends, with one at least; 0: no end
  bool count = false;    // tell also how many keys there are from `begin` on
  base::MonotonicTime deadline;
  std::string traceparent{};
  std::stop_token stop{};  // nobody waits for it any more: what takes long ends, kCancelled
};

// In the order of the keys. Keys that are no records' aren't there, and count where a store or a
// backend is asked.
struct Page {
  std::vector<records::Change> records;  // present, or unreadable
  std::string next;                      // where the next page begins; empty: that was all
  int64_t count = 0;
};

// Changes from revision `from` up to `to`, both of them too.
struct Interval {
  base::Revision from = 0, to = 0;
  size_t max_bytes = SIZE_MAX;  // of records, after which it ends, with a whole revision
  // Whether a change is to be told, which is asked in their order before what it takes is made;
  // null: all are.
  std::function<bool(base::Revision revision, const records::Id& id)> wants{};
  std::stop_token stop{};  // it is enough, within a revision too: kCancelled

  bool Wants(base::Revision revision, const records::Id& id) const {
    return wants == nullptr || wants(revision, id);
  }
};

// One change of a record.
struct Event {
  records::Change now;                    // deleted, present or unreadable
  std::optional<records::Change> before;  // nothing: it didn't exist
};

// Thread-safe. Reading takes as long as a disk may, and where a backend is asked, as long as that
// answers: not for an io thread.
class History {
 public:
  virtual ~History() = default;

  // The oldest revision that Changes knows what follows.
  virtual base::Revision oldest() const = 0;
  // Another number than before: something was missed, or the backend was put back, and nothing
  // that is told now follows what was told before. Changes when the reflector's consumer is told of
  // the end of a list.
  virtual uint64_t epoch() const = 0;

  // At a revision that the consumer of the reflector has been told, or an older one. kOutOfRange:
  // nobody has that revision any more. kDeadlineExceeded, kUnavailable: a backend that had to be
  // asked doesn't answer. kDataLoss: damage.
  virtual base::StatusOr<Page> Read(const Selection& selection) const = 0;

  // One record; nothing if there was none.
  virtual base::StatusOr<std::optional<records::Change>> Find(
      const records::Id& id, base::Revision revision, base::MonotonicTime deadline) const = 0;

  // Visits changes, whole revisions in order. Returns the revision to go on from. kOutOfRange if
  // what was there is forgotten, `from` not being greater than oldest(), or if `to` isn't there:
  // the backend was put back. kCancelled.
  virtual base::StatusOr<base::Revision> Changes(
      const Interval& interval, absl::FunctionRef<void(Event event)> visit) const = 0;
};

}  // namespace strata::replica
