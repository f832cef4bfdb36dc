#include "storage/replica/horizon.h"

namespace strata::replica {

void Horizon::Clear() {
  spans_.clear();
  bytes_ = 0;
}

void Horizon::Add(base::MonotonicTime now, base::Revision revision, size_t bytes) {
  bytes_ += bytes;
  if (!spans_.empty()) {
    Span& open = spans_.back();
    if (now - open.first < age_ / kSpans && open.bytes + bytes <= most_bytes_ / kSpans) {
      open.last = now;
      open.revision = revision;
      open.bytes += bytes;
      return;
    }
  }
  spans_.push_back({now, now, revision, bytes});
}

base::Revision Horizon::Pass(base::MonotonicTime now) {
  base::Revision passed = 0;
  while (!spans_.empty() && (now - spans_.front().last >= age_ || bytes_ > most_bytes_)) {
    passed = spans_.front().revision;
    bytes_ -= spans_.front().bytes;
    spans_.pop_front();
  }
  return passed;
}

}  // namespace strata::replica
