// How far back history reaches: for a time, and for so many bytes. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>

#include "lib/base/clock.h"
#include "lib/base/revision.h"

namespace strata::replica {

// For one thread.
class Horizon {
 public:
  Horizon(std::chrono::nanoseconds age, size_t bytes) : age_(age), most_bytes_(bytes) {}

  // History begins anew, with nothing in it.
  void Clear();
  // At `now` changes up to `revision` came, of so many bytes.
  void Add(base::MonotonicTime now, base::Revision revision, size_t bytes);
  // Up to which revision changes are too old, or too many; 0: none are. They don't count any more.
  base::Revision Pass(base::MonotonicTime now);

  size_t bytes() const { return bytes_; }

 private:
  // Changes that go together. So few of them are in either bound that history is a little longer
  // than the one, and a little shorter than the other.
  struct Span {
    base::MonotonicTime first, last;
    base::Revision revision = 0;  // the last one's
    size_t bytes = 0;
  };
  static constexpr int kSpans = 64;

  const std::chrono::nanoseconds age_;
  const size_t most_bytes_;
  std::deque<Span> spans_;
  size_t bytes_ = 0;
};

}  // namespace strata::replica
