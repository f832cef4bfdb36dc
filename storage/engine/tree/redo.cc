#include "storage/engine/tree/redo.h"

#include <endian.h>

#include <cstring>

namespace strata::engine::tree {
namespace {

struct Head {
  uint8_t kind;
  uint8_t table;
  uint16_t key;
  uint32_t value;
};
static_assert(sizeof(Head) == 8);

base::Status Damaged() {
  return base::DataLossError("a record of the write-ahead log is no list of changes");
}

}  // namespace

void AppendRedo(std::string& record, const RedoOp& op) {
  const Head head{.kind = static_cast<uint8_t>(op.kind),
                  .table = op.table,
                  .key = htole16(static_cast<uint16_t>(op.key.size())),
                  .value = htole32(static_cast<uint32_t>(op.value.size()))};
  record.append(reinterpret_cast<const char*>(&head), sizeof(head));
  record += op.key;
  record += op.value;
}

base::Status ForEachRedo(std::string_view record,
                         absl::FunctionRef<base::Status(const RedoOp&)> apply) {
  while (!record.empty()) {
    Head head;
    if (record.size() < sizeof(head)) return Damaged();
    std::memcpy(&head, record.data(), sizeof(head));
    record.remove_prefix(sizeof(head));
    const size_t key = le16toh(head.key);
    const size_t value = le32toh(head.value);
    if (head.kind > static_cast<uint8_t>(RedoOp::Kind::kAppend) || record.size() < key ||
        record.size() - key < value) {
      return Damaged();
    }
    STRATA_RETURN_IF_ERROR(apply({.kind = static_cast<RedoOp::Kind>(head.kind),
                                  .table = head.table,
                                  .key = record.substr(0, key),
                                  .value = record.substr(key, value)}));
    record.remove_prefix(key + value);
  }
  return base::OkStatus();
}

}  // namespace strata::engine::tree
