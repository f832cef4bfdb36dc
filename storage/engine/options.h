// How a store is opened, and its bounds.
#pragma once

#include <cstddef>
#include <cstdint>

#include "storage/engine/tree/environment.h"

namespace strata::engine {

struct Options {
  // What is there is to be looked at: nothing that serving does by itself is done, so that no lease
  // ends and no clean-up goes on, and no store is made where there is none, which is NotFound.
  bool look_only = false;
  size_t max_txn_ops = 128;
  // Writes that wait for the writer; beyond them requests are refused with TooManyRequests.
  size_t max_pending_writes = 4096;
  size_t max_pending_bytes = size_t{64} << 20;
  // What one fsync may be shared by.
  size_t max_batch_writes = 1024;
  size_t max_batch_bytes = size_t{16} << 20;
  // Bytes that records may take. A write that would go over it raises the alarm NOSPACE: from then
  // on writes that need room are refused, until the alarm is ended. 0: no limit.
  int64_t quota_bytes = 0;
  // Bytes of records in one answer: what protobuf and gRPC can send, as etcd allows; and in all
  // answers that are gathered or on their way.
  size_t max_answer_bytes = INT32_MAX;
  size_t max_inflight_answer_bytes = size_t{2} << 30;
  // Changes that the clean-up after a compaction looks at before it lets writes through.
  size_t scrub_changes = 1000;
  tree::Environment::Options map{};
};

}  // namespace strata::engine
