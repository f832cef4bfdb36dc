// A write: a request that changes the store, from its queueing to its answer.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "lib/base/status.h"
#include "storage/engine/answer_bytes.h"
#include "storage/engine/mutation.h"
#include "storage/engine/state.h"
#include "storage/engine/types.h"

namespace strata::engine {

template <typename Result>
using Done = std::function<void(base::StatusOr<Result>)>;

// Made on the thread of who asks, and from then on the writing thread's.
class Write {
 public:
  // What it waits for, once it is committed, before it is answered.
  enum class Awaits { kNothing, kScrub, kDefragmentation };

  explicit Write(size_t size) : bytes(size) {}
  Write(const Write&) = delete;
  Write& operator=(const Write&) = delete;
  virtual ~Write() = default;

  // May be called again, with another transaction, if the last one couldn't be committed.
  virtual void Apply(Mutation& mutation) = 0;
  virtual void Refuse(base::Status why) = 0;  // instead of what Apply found
  virtual void Committed(
      State& state) = 0;  // before Answer, if what Apply did, or nothing, is durable
  virtual Awaits awaits() const = 0;
  virtual void Answer() = 0;  // once, at last

  const size_t bytes;  // while it waits
};

// Writes that share a transaction, in their order.
using Batch = std::vector<std::unique_ptr<Write>>;

void RefuseAll(const Batch& batch, const base::Status& why);
// Answers them, and forgets them.
void AnswerAll(Batch& batch);

// For each request that changes something. `answer` is null for what answers no records.
template <typename Request, typename Result>
std::unique_ptr<Write> MakeWrite(Request request, AnswerBytes* answer, Done<Result> done);

}  // namespace strata::engine
