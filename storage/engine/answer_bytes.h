// What answers weigh: counted while they are gathered, before anything is copied, and until they
// are on their way to the client.
//
// Protobuf and gRPC end the process over a message of 2 GiB and more. And a request of a few bytes
// can ask for all records: the answers that are in memory at a time are bounded together, too.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstddef>

#include "lib/base/status.h"
#include "lib/obs/metrics.h"
#include "storage/engine/types.h"

namespace strata::engine {

// Of all answers of one store. Thread-safe.
class AnswerBudget {
 public:
  // Bytes of one answer, and of all that are in memory.
  AnswerBudget(size_t most_each, size_t most, obs::Metrics& metrics);

 private:
  friend class AnswerBytes;
  bool Take(size_t bytes) ABSL_LOCKS_EXCLUDED(mu_);
  void Give(size_t bytes) ABSL_LOCKS_EXCLUDED(mu_);

  const size_t most_each_;
  const size_t most_;
  obs::Gauge taken_gauge_;
  obs::Counter refused_;
  absl::Mutex mu_;
  size_t taken_ ABSL_GUARDED_BY(mu_) = 0;
};

// One answer, from before it is gathered until it is sent. For one thread at a time.
class AnswerBytes {
 public:
  // The first `uncounted` bytes are bounded by the number of those who may ask, and ask nobody.
  AnswerBytes(AnswerBudget& budget, size_t uncounted)
      : budget_(budget), uncounted_(uncounted), room_(uncounted) {}
  AnswerBytes(const AnswerBytes&) = delete;
  AnswerBytes& operator=(const AnswerBytes&) = delete;
  ~AnswerBytes();

  // Room for one more record, for a key, or for what surrounds them. ResourceExhausted, with etcd's
  // texts, if the answer can't be sent or all together would be too many; then it isn't to be
  // gathered on.
  base::Status Add(const KeyValue& kv, size_t value_bytes);  // `kv` without its value
  base::Status Add(size_t bytes);
  // It is gathered from the beginning.
  void Restart();

  // Add has refused.
  bool refused() const { return refused_; }

 private:
  AnswerBudget& budget_;
  const size_t uncounted_;
  size_t bytes_ = 0;   // encoded, at most
  size_t memory_ = 0;  // the same with the objects that hold it
  size_t room_ = 0;    // may be used without asking
  bool refused_ = false;
};

}  // namespace strata::engine
