// The tables of a tree.
#pragma once

#include <cstddef>
#include <cstdint>

namespace strata::engine::tree {

enum class Table : uint8_t { kMeta, kHistory, kIndex, kLease, kLeaseKey };
inline constexpr size_t kTables = 5;

}  // namespace strata::engine::tree
