// History's reads of an engine: the one implementation of them.
#pragma once

#include <absl/functional/function_ref.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "storage/engine/view.h"
#include "storage/records/keys.h"
#include "storage/replica/history.h"
#include "storage/replica/key_counts.h"

namespace strata::replica {

// Thread-safe. Each call sees one state of the engine.
class Reading {
 public:
  // Calls back with the engine's newest state.
  using Look =
      std::function<base::Status(absl::FunctionRef<base::Status(const engine::View& view)>)>;
  // What a stored value is.
  using Decode = records::Change (*)(records::Id id, std::string value, base::Revision revision);

  Reading(Look look, records::Keys keys, Decode decode)
      : look_(std::move(look)), keys_(std::move(keys)), decode_(decode) {}

  // As History's. kOutOfRange if the engine hasn't the revision.
  base::StatusOr<Page> Read(const Selection& selection) const;
  base::StatusOr<std::optional<records::Change>> Find(const records::Id& id,
                                                      base::Revision revision) const;
  base::StatusOr<base::Revision> Changes(const Interval& interval,
                                         absl::FunctionRef<void(Event event)> visit) const;

 private:
  base::StatusOr<std::optional<records::Change>> FindIn(const engine::View& view,
                                                        const records::Id& id,
                                                        base::Revision revision) const;
  base::StatusOr<Event> EventOf(const engine::View& view, records::Id id,
                                const engine::ChangeRef& change) const;

  const Look look_;
  const records::Keys keys_;
  const Decode decode_;
  mutable KeyCounts counts_;
};

// What a record weighs in a page or among events.
size_t BytesOf(const records::Change& change);

}  // namespace strata::replica
