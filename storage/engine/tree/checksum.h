// The checksum that each value carries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/base/status.h"
#include "storage/engine/tree/table.h"

namespace strata::engine::tree {

inline constexpr size_t kSum = 4;  // bytes of a checksum

// CRC-32: every flip of one bit, and of a run of up to 32, changes it.
uint32_t Sum(Table table, std::string_view key, std::string_view value);

// DataLoss: that of this key isn't right.
base::Status Damaged(Table table, std::string_view key);

}  // namespace strata::engine::tree
