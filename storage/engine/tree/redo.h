// What a transaction did to the tables, as a record of the write-ahead log: done again on the state
// before it, it gives the state after it.
//
//   op  kind u8 | table u8 | key's size u16 | value's size u32 | key | value     little-endian
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/status.h"

namespace strata::engine::tree {

struct RedoOp {
  enum class Kind : uint8_t { kPut, kPutBare, kDelete, kAppend };
  Kind kind = Kind::kPut;
  uint8_t table = 0;
  std::string_view key;  // under 64 KiB
  std::string_view value;
};

void AppendRedo(std::string& record, const RedoOp& op);

// Calls `apply` with the ops in their order; they refer to the record. DataLoss if it is none.
base::Status ForEachRedo(std::string_view record,
                         absl::FunctionRef<base::Status(const RedoOp&)> apply);

}  // namespace strata::engine::tree
