// How many keys follow where pages ended: whoever reads a list in pages has them counted once.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <optional>
#include <string>

#include "lib/base/memo.h"
#include "lib/base/revision.h"
#include "storage/replica/history.h"

namespace strata::replica {

// Of one engine, whose keys at a revision stay what they are. Thread-safe; bounded.
class KeyCounts {
 public:
  // Keys of the selection; nothing if they weren't told.
  std::optional<int64_t> Find(const Selection& selection) const ABSL_LOCKS_EXCLUDED(mu_);
  // The selection would have so many if it began at `begin`.
  void Keep(const Selection& selection, const std::string& begin, int64_t keys)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Range {
    std::string begin, end;
    base::Revision revision = 0;
    friend bool operator==(const Range&, const Range&) = default;
  };
  static size_t HashOf(const Range& range);

  mutable absl::Mutex mu_;
  base::Memo<Range, int64_t, 256> counts_ ABSL_GUARDED_BY(mu_);
};

}  // namespace strata::replica
