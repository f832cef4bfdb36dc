// The history of the embedded store: its own.
#pragma once

#include <optional>

#include "storage/engine/store.h"
#include "storage/records/keys.h"
#include "storage/replica/history.h"
#include "storage/replica/reading.h"

namespace strata::replica {

// Thread-safe. How long history is kept is the store's affair: it ends where that is compacted.
class StoreHistory final : public History {
 public:
  StoreHistory(const engine::Store& store, const records::Keys& keys);

  base::Revision oldest() const override { return store_.compacted(); }
  uint64_t epoch() const override { return 0; }  // a store's history is one
  base::StatusOr<Page> Read(const Selection& selection) const override {
    return reading_.Read(selection);
  }
  base::StatusOr<std::optional<records::Change>> Find(
      const records::Id& id, base::Revision revision,
      base::MonotonicTime /*deadline*/) const override {
    return reading_.Find(id, revision);
  }
  base::StatusOr<base::Revision> Changes(
      const Interval& interval, absl::FunctionRef<void(Event event)> visit) const override {
    return reading_.Changes(interval, visit);
  }

 private:
  const engine::Store& store_;
  const Reading reading_;
};

}  // namespace strata::replica
