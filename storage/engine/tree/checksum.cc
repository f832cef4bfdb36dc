#include "storage/engine/tree/checksum.h"

#include <fmt/format.h>
#include <libdeflate.h>

#include "lib/base/bytes.h"
#include "storage/engine/tree/lmdb_terms.h"

namespace strata::engine::tree {

uint32_t Sum(Table table, std::string_view key, std::string_view value) {
  const auto first = static_cast<uint32_t>(table);
  const uint32_t of_key = libdeflate_crc32(first, key.data(), key.size());
  if (value.empty()) return of_key;  // a null pointer would start anew
  return libdeflate_crc32(of_key, value.data(), value.size());
}

base::Status Damaged(Table table, std::string_view key) {
  return base::DataLossError(fmt::format("the store is damaged: the checksum of {} {} is wrong",
                                         kNames[static_cast<size_t>(table)],
                                         base::Printable(key, 200)));
}

}  // namespace strata::engine::tree
