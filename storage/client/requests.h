// What is asked of an etcd v3 API and what it answers, as values (etcd rpc.proto).
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "lib/base/revision.h"

namespace strata::client {

struct KeyValue {
  std::string key;
  std::string value;
  base::Revision create_revision = 0;
  base::Revision mod_revision = 0;
};

struct RangeOptions {
  std::string key;
  std::string end{};            // empty: the key alone
  int64_t limit = 0;            // 0: all
  base::Revision revision = 0;  // 0: the current one
  bool keys_only = false;
  bool count_only = false;
  bool newest_first = false;  // by mod revision
  std::string traceparent{};  // sent along as metadata, but for one in a transaction; empty: none
};

struct RangeResult {
  std::vector<KeyValue> kvs;
  bool more = false;
  int64_t count = 0;            // of the whole range
  base::Revision revision = 0;  // the store's current one, whichever the range is of
  uint64_t cluster_id = 0;
  uint64_t raft_term = 0;  // never falls within one history
  // Of RangeDirectly: over a connection that nothing was read over before; and after another
  // endpoint was left.
  bool dialled = false, moved = false;
};

struct Put {
  std::string key;
  std::string value;
};
struct PutResult {};

struct DeleteOptions {
  std::string key;
  std::string end{};  // empty: the key alone
};
struct DeleteResult {
  int64_t deleted = 0;          // keys that were there
  base::Revision revision = 0;  // the store's, after it
};

// What has to hold of a key. Of one that isn't there revisions and version are 0, and no value
// compares.
struct Compare {
  enum class Target : uint8_t { kModRevision, kCreateRevision, kVersion, kValue };
  enum class Result : uint8_t { kEqual, kGreater, kLess, kNotEqual };

  std::string key;
  Target target = Target::kModRevision;
  Result result = Result::kEqual;  // of what the key has, compared to what stands here
  int64_t number = 0;              // of any target but kValue
  std::string value{};             // of kValue
};

using Operation = std::variant<Put, DeleteOptions, RangeOptions>;
using OperationResult = std::variant<PutResult, DeleteResult, RangeResult>;

// `success` if all of `compares` hold, `failure` otherwise; all at one revision, a key put once at
// most. As many operations as the server takes, which for etcd is 128 in each part.
struct Txn {
  std::vector<Compare> compares{};
  std::vector<Operation> success{}, failure{};
};

struct TxnResult {
  bool succeeded = false;
  base::Revision revision = 0;             // the store's, after it
  std::vector<OperationResult> results{};  // in the order of those that were done
};

bool OnlyReads(const Txn& txn);

// A write that counts on what was read before.
struct Change {
  std::string key;
  std::string value;
  base::Revision expected = 0;  // mod revision that the key must have; 0: it may not exist
};

// All of `changes`, which are of different keys, or none.
Txn IfUnchanged(const std::vector<Change>& changes);

}  // namespace strata::client
