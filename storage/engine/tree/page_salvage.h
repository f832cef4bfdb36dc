// What can be had of a damaged file of LMDB's, page by page, without LMDB.
//
// The tree's own pages are walked first, past those that can't be read. What hangs below such a
// page is found all the same, as long as the list of free pages is whole: a page that isn't free is
// in use, and the checksum of an entry tells which table it is of. Old pages are never taken for
// such: what was deleted doesn't come back.
#pragma once

#include <absl/functional/function_ref.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "storage/engine/tree/table.h"

namespace strata::engine::tree {

struct Salvaged {
  std::vector<std::string> unreadable;  // pages and entries, in words
  // Of each table: how many entries could be read, and how many there are if that is known.
  std::array<uint64_t, kTables> read{};
  std::array<std::optional<uint64_t>, kTables> expected{};

  // Nothing is amiss.
  bool whole() const { return unreadable.empty(); }
};

using EntryVisit =
    absl::FunctionRef<base::Status(Table table, std::string_view key, std::string_view value)>;

// Calls `visit` with the entries in `file` whose checksum is right, of the state that `checkpoint`
// says (Wal::Checkpoint::pages), or of the newest if that is empty. In no order. Bare entries have
// no checksum, and are left out. Writes nothing. DataLoss if both first pages are unreadable.
base::StatusOr<Salvaged> SalvageTables(const std::string& path, std::string_view checkpoint,
                                       EntryVisit visit);

}  // namespace strata::engine::tree
