#include "storage/engine/write_queue.h"

#include <utility>

#include "storage/engine/errors.h"

namespace strata::engine {

void WriteQueue::Add(std::unique_ptr<Write> write) {
  base::Status refusal;
  {
    absl::MutexLock lock(&mu_);
    if (ended_) {
      refusal = Stopped();
    } else if (waiting_.size() >= options_.max_pending_writes ||
               (!waiting_.empty() && bytes_ + write->bytes > options_.max_pending_bytes)) {
      refusal = TooManyRequests();
    } else {
      bytes_ += write->bytes;
      waiting_.push_back(std::move(write));
      metrics_.pending_writes.Set(static_cast<double>(waiting_.size()));
      return;
    }
  }
  metrics_.refused_writes.Increment();
  write->Refuse(refusal);
  write->Answer();
}

std::optional<Batch> WriteQueue::Take(absl::Duration patience) {
  absl::MutexLock lock(&mu_);
  const auto wake = [this]()
                        ABSL_SHARED_LOCKS_REQUIRED(mu_) { return ended_ || !waiting_.empty(); };
  if (waiting_.empty() && patience > absl::ZeroDuration())
    mu_.AwaitWithTimeout(absl::Condition(&wake), patience);
  if (ended_) return std::nullopt;
  Batch batch;
  size_t bytes = 0;
  while (!waiting_.empty() && batch.size() < options_.max_batch_writes &&
         (batch.empty() || bytes + waiting_.front()->bytes <= options_.max_batch_bytes)) {
    bytes += waiting_.front()->bytes;
    batch.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  bytes_ -= bytes;
  metrics_.pending_writes.Set(static_cast<double>(waiting_.size()));
  return batch;
}

void WriteQueue::End() {
  absl::MutexLock lock(&mu_);
  ended_ = true;
}

Batch WriteQueue::TakeRest() {
  absl::MutexLock lock(&mu_);
  Batch rest;
  for (auto& write : waiting_) rest.push_back(std::move(write));
  waiting_.clear();
  return rest;
}

}  // namespace strata::engine
