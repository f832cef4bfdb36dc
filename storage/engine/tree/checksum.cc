#include "storage/engine/tree/checksum.h"

#include <endian.h>
#include <fmt/format.h>
#include <libdeflate.h>

#include <cstring>

#include "lib/base/bytes.h"
#include "storage/engine/tree/lmdb_terms.h"

namespace strata::engine::tree {

uint32_t Sum(Table table, std::string_view key, std::string_view value) {
  const auto first = static_cast<uint32_t>(table);
  const uint32_t of_key = libdeflate_crc32(first, key.data(), key.size());
  if (value.empty()) return of_key;  // a null pointer would start anew
  return libdeflate_crc32(of_key, value.data(), value.size());
}

std::optional<std::string_view> Verified(Table table, std::string_view key,
                                         std::string_view stored) {
  if (table == Table::kMeta && key == kBareKey) return stored;
  if (stored.size() < kSum) return std::nullopt;
  const std::string_view value = stored.substr(0, stored.size() - kSum);
  uint32_t sum;
  std::memcpy(&sum, stored.data() + value.size(), kSum);
  if (le32toh(sum) != Sum(table, key, value)) return std::nullopt;
  return value;
}

base::Status Damaged(Table table, std::string_view key) {
  return base::DataLossError(fmt::format("the store is damaged: the checksum of {} {} is wrong",
                                         kNames[static_cast<size_t>(table)],
                                         base::Printable(key, 200)));
}

}  // namespace strata::engine::tree
