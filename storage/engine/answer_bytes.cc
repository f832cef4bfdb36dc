#include "storage/engine/answer_bytes.h"

#include <algorithm>
#include <bit>
#include <cstdint>

#include "storage/engine/errors.h"

namespace strata::engine {
namespace {

// Room is taken in pieces: one turn with the others for many records.
constexpr size_t kPiece = size_t{1} << 20;

// What the answer's header and its few other fields take, at most.
constexpr size_t kHeader = 128;

// Protobuf's encoding: a tag of one byte, then a number of seven bits a byte.
size_t NumberBytes(uint64_t number) {
  return (static_cast<size_t>(std::bit_width(number | 1)) + 6) / 7;
}
size_t FieldBytes(int64_t number) {
  return number == 0 ? 0 : 1 + NumberBytes(static_cast<uint64_t>(number));
}
size_t BytesField(size_t bytes) {
  return bytes == 0 ? 0 : 1 + NumberBytes(bytes) + bytes;
}

}  // namespace

AnswerBudget::AnswerBudget(size_t most_each, size_t most, obs::Metrics& metrics)
    : most_each_(std::min(most_each, most)),
      most_(most),
      taken_gauge_(metrics.AddGauge("strata_store_answer_bytes",
                                    "Bytes of answers that are gathered or sent, of those over "
                                    "64 KiB; at most --max-response-bytes-inflight.")),
      refused_(metrics.AddCounter("strata_store_answers_refused_total",
                                  "Answers that were too large, or too many at a time.")) {}

bool AnswerBudget::Take(size_t bytes) {
  absl::MutexLock lock(&mu_);
  if (bytes > most_ - taken_) return false;
  taken_ += bytes;
  taken_gauge_.Set(static_cast<double>(taken_));
  return true;
}

void AnswerBudget::Give(size_t bytes) {
  absl::MutexLock lock(&mu_);
  taken_ -= bytes;
  taken_gauge_.Set(static_cast<double>(taken_));
}

AnswerBytes::~AnswerBytes() {
  Restart();
}

void AnswerBytes::Restart() {
  if (room_ > uncounted_) budget_.Give(room_ - uncounted_);
  room_ = uncounted_;
  bytes_ = memory_ = 0;
  refused_ = false;
}

base::Status AnswerBytes::Add(const KeyValue& kv, size_t value_bytes) {
  return Add(BytesField(BytesField(kv.key.size()) + BytesField(value_bytes) +
                        FieldBytes(kv.create_revision) + FieldBytes(kv.mod_revision) +
                        FieldBytes(kv.version) + FieldBytes(kv.lease)));
}

base::Status AnswerBytes::Add(size_t bytes) {
  bytes_ += bytes;
  memory_ += bytes + sizeof(KeyValue);
  if (bytes_ + kHeader <= budget_.most_each_) {
    if (memory_ <= room_) return base::OkStatus();
    const size_t more = std::max(memory_ - room_, std::min(kPiece, budget_.most_ / 2));
    if (budget_.Take(more)) {
      room_ += more;
      return base::OkStatus();
    }
  }
  refused_ = true;
  budget_.refused_.Increment();
  const size_t whole = bytes_ + kHeader;
  return whole > budget_.most_each_ ? AnswerTooLarge(whole, budget_.most_each_) : TooManyRequests();
}

}  // namespace strata::engine
