#include "storage/replica/key_counts.h"

#include <functional>
#include <memory>
#include <utility>

namespace strata::replica {

size_t KeyCounts::HashOf(const Range& range) {
  return std::hash<std::string>()(range.begin) ^ static_cast<size_t>(range.revision);
}

std::optional<int64_t> KeyCounts::Find(const Selection& selection) const {
  const Range asked{selection.begin, selection.end, selection.revision};
  absl::MutexLock lock(&mu_);
  const auto known =
      counts_.Find(HashOf(asked), [&](const Range& range) { return range == asked; });
  return known == nullptr ? std::nullopt : std::optional(*known);
}

void KeyCounts::Keep(const Selection& selection, const std::string& begin, int64_t keys) {
  Range range{begin, selection.end, selection.revision};
  const size_t hash = HashOf(range);
  absl::MutexLock lock(&mu_);
  counts_.Keep(hash, std::move(range), std::make_shared<const int64_t>(keys));
}

}  // namespace strata::replica
