// What LMDB takes and gives, in this room's terms: bytes, the tables' names, errors.
#pragma once

#include <lmdb.h>

#include <array>
#include <string_view>

#include "lib/base/status.h"
#include "storage/engine/tree/table.h"

namespace strata::engine::tree {

inline constexpr std::array<const char*, kTables> kNames = {"meta", "history", "index", "lease",
                                                            "lease_key"};

inline MDB_val Value(std::string_view bytes) {
  return {bytes.size(),
          const_cast<char*>(bytes.data())};  // NOLINT(cppcoreguidelines-pro-type-const-cast)
}

inline std::string_view View(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

// Of a call that returned `code`, naming what was tried.
base::Status Error(int code, std::string_view what);

// The same, of a call that reads.
base::Status ReadError(int code);

}  // namespace strata::engine::tree
