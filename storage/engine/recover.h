// A new store of what can be read of a damaged one.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/status.h"
#include "storage/engine/types.h"

namespace strata::engine {

struct Recovered {
  Revision revision = 0;  // of the new store
  int64_t changes = 0;    // that it has
  int64_t lost = 0;       // revisions of keys, and revisions of which nothing is known
  // What can't be read, in places: pages, entries, records of the log.
  int64_t unreadable = 0;
};

// Reads the store in `from`, which nobody has open and of which nothing is changed, and makes one
// in `into`, an empty directory, with ids of its own. `tell` gets a line for whatever is given up:
// first the places, then the changes. The new revision is the newest that anything is left of, and
// `bump` more (Refound). With `look_only` no store is made, but room for a copy is needed all the
// same.
//
// A page or a record that is damaged costs what is in it. Where the value of a key's newest change
// is lost, the key has its value of before again, as long as that wasn't compacted.
base::StatusOr<Recovered> Recover(const std::string& from, const std::string& into, Revision bump,
                                  bool look_only,
                                  absl::FunctionRef<void(std::string_view line)> tell);

}  // namespace strata::engine
