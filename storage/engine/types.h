// What the store is asked and what it answers: etcd's requests (proto/etcd/rpc.proto says what the
// fields mean) as plain values, without protobuf. Every member has an initializer, so that a
// request names only what it sets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/base/revision.h"

namespace strata::engine {

using base::Revision;

struct KeyValue {
  std::string key{};
  std::string value{};
  Revision create_revision = 0;
  Revision mod_revision = 0;
  int64_t version = 0;
  int64_t lease = 0;

  friend bool operator==(const KeyValue&, const KeyValue&) = default;
};

enum class SortOrder { kNone, kAscend, kDescend };
enum class SortTarget { kKey, kVersion, kCreate, kMod, kValue };

// [key, range_end): an empty end is the single key, "\0" is everything from `key` on.
struct RangeRequest {
  std::string key{};
  std::string range_end{};
  int64_t limit = 0;
  Revision revision = 0;
  SortOrder sort_order = SortOrder::kNone;
  SortTarget sort_target = SortTarget::kKey;
  bool keys_only = false;
  bool count_only = false;
  Revision min_mod_revision = 0;
  Revision max_mod_revision = 0;
  Revision min_create_revision = 0;
  Revision max_create_revision = 0;
};

struct RangeResult {
  Revision revision = 0;  // the store's, not the one that was asked for
  std::vector<KeyValue> kvs{};
  bool more = false;
  int64_t count = 0;
};

struct PutRequest {
  std::string key{};
  std::string value{};
  int64_t lease = 0;
  bool prev_kv = false;
  bool ignore_value = false;
  bool ignore_lease = false;
};

struct PutResult {
  Revision revision = 0;
  std::optional<KeyValue> prev{};
};

struct DeleteRequest {
  std::string key{};
  std::string range_end{};
  bool prev_kv = false;
};

struct DeleteResult {
  Revision revision = 0;
  int64_t deleted = 0;
  std::vector<KeyValue> prevs{};
};

struct Compare {
  enum class Result { kEqual, kGreater, kLess, kNotEqual };
  enum class Target { kVersion, kCreate, kMod, kValue, kLease };
  Result result = Result::kEqual;
  Target target = Target::kVersion;
  std::string key{};
  std::string range_end{};
  int64_t number = 0;   // for every target but kValue
  std::string value{};  // for kValue
};

struct Op;

struct TxnRequest {
  std::vector<Compare> compares;
  std::vector<Op> success;
  std::vector<Op> failure;
};

// Empty is what a request without its oneof decodes to: refused.
struct Op {
  std::variant<std::monostate, RangeRequest, PutRequest, DeleteRequest, TxnRequest> request;
};

struct OpResult;

struct TxnResult {
  Revision revision = 0;
  bool succeeded = false;
  std::vector<OpResult> results;  // one for each operation of the branch that was taken
};

struct OpResult {
  std::variant<RangeResult, PutResult, DeleteResult, TxnResult> result;
};

struct CompactRequest {
  Revision revision = 0;
  bool physical = false;
};

struct CompactResult {
  Revision revision = 0;
};

struct LeaseGrantRequest {
  int64_t id = 0;
  int64_t ttl = 0;  // seconds
};

struct LeaseGrantResult {
  Revision revision = 0;
  int64_t id = 0;
  int64_t ttl = 0;
};

struct LeaseRevokeRequest {
  int64_t id = 0;
};

struct LeaseRevokeResult {
  Revision revision = 0;
};

// What holds until somebody looks after it, over restarts too; the number is its bit.
enum class Alarm : uint32_t { kNoSpace = 1, kCorrupt = 2 };

struct AlarmRequest {
  Alarm alarm = Alarm::kNoSpace;
  bool raise = false;  // or end it
};

struct AlarmResult {
  Revision revision = 0;
  bool changed = false;
};

// Gives the space of free pages back to the file system.
struct DefragmentRequest {};

struct DefragmentResult {
  Revision revision = 0;
};

struct LeaseTimeToLive {
  Revision revision = 0;
  int64_t ttl = -1;  // seconds left; -1: no such lease
  int64_t granted_ttl = 0;
  std::vector<std::string> keys{};
};

struct LeaseList {
  Revision revision = 0;
  std::vector<int64_t> ids{};
};

struct HashResult {
  Revision revision = 0;       // the store's
  Revision hash_revision = 0;  // what was hashed
  Revision compact_revision = 0;
  uint32_t hash = 0;
};

struct StoreStatus {
  Revision revision = 0;
  Revision compact_revision = 0;
  int64_t size = 0;         // bytes of the file
  int64_t size_in_use = 0;  // bytes of it that hold something
};

}  // namespace strata::engine
