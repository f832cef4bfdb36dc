// The checksum that each value carries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/base/status.h"
#include "storage/engine/tree/table.h"

namespace strata::engine::tree {

inline constexpr size_t kSum = 4;  // bytes of a checksum

// CRC-32: every flip of one bit, and of a run of up to 32, changes it.
uint32_t Sum(Table table, std::string_view key, std::string_view value);

// The key of the one value without, in the table meta, to be read by any version of this program:
// the number of the format.
inline constexpr std::string_view kBareKey = "format";

// The value that `stored` is, without its checksum; nothing if that is wrong.
std::optional<std::string_view> Verified(Table table, std::string_view key,
                                         std::string_view stored);

// DataLoss: that of this key isn't right.
base::Status Damaged(Table table, std::string_view key);

}  // namespace strata::engine::tree
