// One change of an object, with its encodings: those in which somebody watches when it comes are
// made once, for all.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/clock.h"
#include "server/objects/kind.h"
#include "server/objects/selector.h"
#include "server/objects/watch_frames.h"
#include "storage/replica/history.h"

namespace strata::objects {

// Thread-safe, once all know of it and nothing is added any more: its bytes are counted by then.
class Event {
 public:
  // The objects as clients see them at `revision`, both: what there is now, and what there was. One
  // of them is there. `record_bytes` is what they were made of.
  Event(const registry::Resource& resource, base::Revision revision, std::optional<Object> now,
        std::optional<Object> before, size_t record_bytes)
      : resource_(resource),
        revision_(revision),
        record_bytes_(record_bytes),
        now_(std::move(now)),
        before_(std::move(before)) {}

  base::Revision revision() const { return revision_; }

  // What it is to somebody: its type (empty: nothing), and whether it carries the object as it was
  // before, at this revision.
  struct Meaning {
    std::string_view type;
    bool before = false;
  };
  Meaning MeaningTo(const Selector& selector) const;
  // To somebody who selects nothing.
  Meaning meaning() const;

  // Makes the object as it stands in a frame, for all. Before anybody else knows of the event.
  void Keep(const WatchForm& form, bool before, base::WallTime now);
  // Null: it isn't there.
  std::shared_ptr<const std::string> Find(const WatchForm& form, bool before) const;
  // The one that is there, or one for the caller alone.
  std::shared_ptr<const std::string> Encode(const WatchForm& form, bool before,
                                            base::WallTime now) const;

  // Of the records; encodings take some once or twice as much.
  size_t record_bytes() const { return record_bytes_; }
  size_t encoded_bytes() const;

 private:
  const registry::Resource& resource_;
  const base::Revision revision_;
  const size_t record_bytes_;
  const std::optional<Object> now_, before_;

  std::map<std::pair<WatchForm, bool>, std::shared_ptr<const std::string>> encoded_;
};

// Of a change of a record; what can't be read isn't there, as in lists. Null: there was and is
// nothing.
std::shared_ptr<Event> EventOf(const Kind& kind, const replica::Event& change);

}  // namespace strata::objects
