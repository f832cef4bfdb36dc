#include "storage/engine/losses.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "lib/base/bytes.h"
#include "storage/engine/lease_table.h"
#include "storage/engine/tree/cursor.h"

namespace strata::engine {
namespace {

using tree::Cursor;
using tree::Table;

std::string Named(std::string_view escaped) {
  return base::Printable(Unescape(escaped), kMaxKeyBytes);
}

}  // namespace

base::Status Losses::Name(Revision compacted) {
  STRATA_RETURN_IF_ERROR(NameVersions());
  STRATA_RETURN_IF_ERROR(NameRevisions(compacted));
  return NameLeases();
}

// A key's versions are neighbours in the index, newest first.
base::Status Losses::NameVersions() {
  Cursor cursor(txn_, Table::kIndex);
  std::string key;
  std::vector<Revision> missing;  // of this key, newer than what is left of it
  for (cursor.First(); cursor.valid(); cursor.Next()) {
    const auto parts = ParseIndexKey(cursor.key());
    const auto version = ParseIndex(cursor.value());
    if (!parts || !version) continue;
    newest_ = std::max(newest_, parts->revision);
    if (parts->escaped != key) {
      TellOf(key, missing, "is gone");
      key = parts->escaped;
    }
    STRATA_ASSIGN_OR_RETURN(const bool there, InHistory(key, {parts->revision, version->sub}));
    if (!there) {
      missing.push_back(parts->revision);
      known_.insert(parts->revision);
    } else if (!missing.empty()) {
      TellOf(key, missing,
             fmt::format("{} as at revision {}",
                         version->kind == Kind::kTombstone ? "doesn't exist," : "is",
                         parts->revision));
    }
  }
  TellOf(key, missing, "is gone");
  return cursor.status();
}

base::StatusOr<bool> Losses::InHistory(std::string_view escaped, Position at) const {
  STRATA_ASSIGN_OR_RETURN(const auto stored, txn_.Get(Table::kHistory, HistoryKey(at)));
  const auto record = stored ? ParseHistory(*stored) : std::nullopt;
  return record && record->key == Unescape(escaped);
}

void Losses::TellOf(std::string_view escaped, std::vector<Revision>& missing,
                    std::string_view now) {
  if (missing.empty()) return;
  for (const Revision revision : missing)
    tell_(fmt::format("lost: revision {} of {}", revision, Named(escaped)));
  tell_(fmt::format("  so {} {}", Named(escaped), now));
  count_ += static_cast<int64_t>(missing.size());
  missing.clear();
}

// Each revision above those that were compacted has a change.
base::Status Losses::NameRevisions(Revision compacted) {
  Cursor cursor(txn_, Table::kHistory);
  Revision before = std::max<Revision>(compacted, 1);
  for (cursor.Seek(HistoryKey({before + 1, 0})); cursor.valid(); cursor.Next()) {
    const auto at = ParseHistoryKey(cursor.key());
    if (!at) continue;
    NameBetween(before, at->revision);
    before = at->revision;
  }
  newest_ = std::max(newest_, before);
  NameBetween(before, newest_ + 1);
  return cursor.status();
}

void Losses::NameBetween(Revision before, Revision next) {
  for (Revision first = before + 1; first < next; ++first) {
    if (known_.contains(first)) continue;
    const auto beyond = known_.lower_bound(first);
    const Revision last = std::min(next, beyond == known_.end() ? next : *beyond) - 1;
    tell_(first == last ? fmt::format("lost: revision {}, of which the keys aren't known", first)
                        : fmt::format("lost: revisions {} to {}, of which the keys aren't known",
                                      first, last));
    count_ += last - first + 1;
    first = last;
  }
}

base::Status Losses::NameLeases() {
  constexpr size_t kIdBytes = 8;  // EncodeNumber's
  Cursor cursor(txn_, Table::kLeaseKey);
  std::optional<int64_t> told;
  for (cursor.First(); cursor.valid(); cursor.Next()) {
    const auto id = ParseNumber(cursor.key().substr(0, kIdBytes));
    if (!id || id == told) continue;
    STRATA_ASSIGN_OR_RETURN(const auto ttl, GrantedTtl(txn_, *id));
    if (ttl) continue;
    told = id;
    ++count_;
    tell_(fmt::format("lost: lease {:x}; its keys stay", *id));
  }
  return cursor.status();
}

}  // namespace strata::engine
