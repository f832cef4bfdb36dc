// LMDB 0.9's file as bytes (mdb.c: MDB_page, MDB_node, MDB_db, MDB_meta): for whoever looks at
// pages that LMDB isn't to follow. Page and node are numbers and offsets from the page's beginning;
// the first two pages are metas.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace strata::engine::tree {

static_assert(std::endian::native == std::endian::little && sizeof(size_t) == 8,
              "LMDB writes what the machine has");

using PageNumber = uint64_t;

inline constexpr size_t kMetas = 2, kMetaBytes = 512;
inline constexpr size_t kPageHead = 16;  // number u64 | pad u16 | flags u16 | lower u16 | upper u16
inline constexpr size_t kFlagsAt = 10, kLowerAt = 12, kUpperAt = 14, kOverflowPagesAt = 12;
inline constexpr size_t kNodeHead = 8;  // low u16 | high u16 | flags u16 | key's size u16
inline constexpr size_t kMaxKey = 511;
inline constexpr size_t kMaxDepth = 32;
inline constexpr PageNumber kNone = ~PageNumber{0};
inline constexpr uint32_t kMagic = 0xBEEFC0DE, kVersion = 1;

enum PageFlags : uint16_t { kBranch = 1, kLeaf = 2, kOverflow = 4, kMeta = 8 };
enum NodeFlags : uint16_t { kBigData = 1, kSubTree = 2 };
// The environment's flags stand there too: of those that are kept, this one alone is used.
inline constexpr uint16_t kIntegerKeys = 8, kNoSubDirectory = 0x4000;

struct Tree {
  uint32_t pad = 0;  // of the free list's: the size of a page
  uint16_t flags = 0;
  uint16_t depth = 0;
  uint64_t branch_pages = 0, leaf_pages = 0, overflow_pages = 0, entries = 0;
  PageNumber root = kNone;
};
static_assert(sizeof(Tree) == 48);

struct Meta {
  uint32_t magic = 0;
  uint32_t version = 0;
  uint64_t address = 0;
  uint64_t map_bytes = 0;
  Tree free, main;
  PageNumber last = 0;
  uint64_t txn = 0;
};
static_assert(sizeof(Meta) == 136);

template <typename Number>
Number Read(std::string_view bytes, size_t at) {
  Number number;
  std::memcpy(&number, bytes.data() + at, sizeof(number));
  return number;
}

// What both metas say stands in the first bytes of each page: 16 of the page's own, then Meta. As
// the log's checkpoint has them: the size of a page, then those bytes.
struct MetaPages {
  uint64_t page_bytes = 0;
  std::array<std::array<char, kMetaBytes>, kMetas> begin{};

  Meta meta(size_t i) const { return Read<Meta>({begin[i].data(), begin[i].size()}, kPageHead); }
  uint64_t newest() const { return std::max(meta(0).txn, meta(1).txn); }
};

struct Node {
  std::string_view key;
  uint16_t flags = 0;
  PageNumber child = 0;
  uint32_t size = 0;      // of a leaf's data
  std::string_view data;  // in the page: the data, or the number of the page that has it
};

// How many entries a branch or a leaf says that it has; nothing if its bounds are wrong.
inline std::optional<size_t> NodesOf(std::string_view page) {
  const size_t lower = Read<uint16_t>(page, kLowerAt), upper = Read<uint16_t>(page, kUpperAt);
  if (lower <= kPageHead || lower % 2 != 0 || lower > upper || upper > page.size())
    return std::nullopt;
  return (lower - kPageHead) / 2;
}

// One of them; nothing if it lies outside of the page.
inline std::optional<Node> NodeAt(std::string_view page, size_t index, bool leaf) {
  const size_t upper = Read<uint16_t>(page, kUpperAt);
  const size_t at = Read<uint16_t>(page, kPageHead + 2 * index);
  if (at < upper || at % 2 != 0 || at + kNodeHead > page.size()) return std::nullopt;
  const uint64_t low = Read<uint16_t>(page, at), high = Read<uint16_t>(page, at + 2);
  Node node;
  node.flags = Read<uint16_t>(page, at + 4);
  const size_t key = Read<uint16_t>(page, at + 6);
  if (key > kMaxKey || at + kNodeHead + key > page.size()) return std::nullopt;
  node.key = page.substr(at + kNodeHead, key);
  if (!leaf) {
    node.child = low | high << 16 | uint64_t{node.flags} << 32;
    return node;
  }
  if (key == 0) return std::nullopt;
  node.size = static_cast<uint32_t>(low | high << 16);
  const size_t inside = node.flags == kBigData ? sizeof(PageNumber) : node.size;
  if (at + kNodeHead + key + inside > page.size()) return std::nullopt;
  node.data = page.substr(at + kNodeHead + key, inside);
  return node;
}

}  // namespace strata::engine::tree
