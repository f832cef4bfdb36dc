// How the store's tables look on disk. All integers are big-endian, so that byte order is number
// order.
//
//   history    revision, sub               → kind, create revision, version, lease, key length,
//   key, value index      key, inverted revision      → kind, sub, create revision, version, lease
//   lease      id                          → granted TTL
//   lease_key  id, key                     → (nothing)
//   meta       name                        → number
//
// `sub` counts the changes of one revision. A key changes at most once in a revision. In the index
// a key's versions are neighbours, newest first: the version at revision R is the first at or after
// (key, ~R). The key is escaped there, because no key may be a prefix of another, and in such a way
// that the order stays: 00 01 ends it, with the number of zeros that it ends with; a zero within is
// 00 FF, and a run of them 00 FE or 00 FD with how many they are fewer than the most.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "storage/engine/types.h"

namespace strata::engine {

// 3: a write-ahead log may stand beside the file. 2 is the same without, and is taken over. 1 was
// never released.
inline constexpr int64_t kFormatVersion = 3;
inline constexpr int64_t kOldestFormatVersion = 2;

// LMDB's keys end at 511 bytes, eight of which are the revision's. Single zeros here and there make
// a key longer: one that has more than twenty may not fit.
inline constexpr size_t kMaxKeyBytes = 480;
inline constexpr size_t kMaxEscapedBytes = 503;

// Revisions and versions are counted on from what is stored: one that is negative, or so large that
// it could overflow, is none.
inline constexpr int64_t kMostCount = int64_t{1} << 62;
constexpr bool IsCount(int64_t number) {
  return number >= 0 && number <= kMostCount;
}

enum class Kind : uint8_t { kPut = 0, kTombstone = 1 };

struct Position {
  Revision revision = 0;
  uint32_t sub = 0;
};

class HistoryKey {
 public:
  explicit HistoryKey(Position at);
  operator std::string_view() const {  // NOLINT(google-explicit-constructor): as a string would
    return {bytes_.data(), bytes_.size()};
  }

 private:
  std::array<char, 12> bytes_;
};
std::optional<Position> ParseHistoryKey(std::string_view bytes);

// Views into the bytes that it was parsed from.
struct HistoryRecord {
  Kind kind = Kind::kPut;
  Revision create_revision = 0;
  int64_t version = 0;
  int64_t lease = 0;
  std::string_view key;
  std::string_view value;
};

std::string EncodeHistory(const HistoryRecord& record);
std::optional<HistoryRecord> ParseHistory(std::string_view bytes);

// The smallest index key that any version of `key`, or of a greater key, can have.
std::string IndexLowerBound(std::string_view key);
// Greater than every version of `key`, and smaller than any greater key's.
std::string IndexAfter(std::string_view key);
// The same of ParseIndexKey's `escaped`.
std::string AfterEscaped(std::string_view escaped);
std::string IndexKey(std::string_view key, Revision revision);

struct IndexKeyParts {
  std::string_view escaped;  // with its end mark
  Revision revision = 0;
};
std::optional<IndexKeyParts> ParseIndexKey(std::string_view bytes);
// The key that `escaped` (of ParseIndexKey) stands for.
std::string Unescape(std::string_view escaped);

struct IndexRecord {
  Kind kind = Kind::kPut;
  uint32_t sub = 0;
  Revision create_revision = 0;
  int64_t version = 0;
  int64_t lease = 0;
};

std::string EncodeIndex(const IndexRecord& record);
std::optional<IndexRecord> ParseIndex(std::string_view bytes);

std::string EncodeNumber(int64_t number);
std::optional<int64_t> ParseNumber(std::string_view bytes);

std::string LeaseKeyKey(int64_t lease, std::string_view key);

// False if `key` can't be stored.
bool KeyFits(std::string_view key);

}  // namespace strata::engine
