#include "storage/tool/bolt.h"

#include <endian.h>
#include <fmt/format.h>

#include <cstring>

namespace strata::tool {
namespace {

constexpr uint32_t kMagic = 0xED0CDAED;
constexpr uint32_t kVersion = 2;
constexpr size_t kPageHeader = 16;  // id, flags, count, overflow
constexpr size_t kElement = 16;     // of a branch, and of a leaf
constexpr size_t kMetaBytes = 64;   // with its checksum
constexpr size_t kBucketHeader = 16;
constexpr uint16_t kBranch = 0x01, kLeaf = 0x02;
constexpr uint32_t kBucketLeaf = 0x01;
constexpr int kMaxDepth = 32;

uint16_t U16(std::string_view bytes, size_t at) {
  uint16_t number;
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return le16toh(number);
}
uint32_t U32(std::string_view bytes, size_t at) {
  uint32_t number;
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return le32toh(number);
}
uint64_t U64(std::string_view bytes, size_t at) {
  uint64_t number;
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return le64toh(number);
}

// FNV-1a, 64 bits.
uint64_t Sum(std::string_view bytes) {
  uint64_t sum = 0xcbf29ce484222325;
  for (const char c : bytes) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return sum;
}

base::Status Damaged(std::string_view what) {
  return base::DataLossError(fmt::format("the database is damaged: {}", what));
}

}  // namespace

bool IsBolt(std::string_view head) {
  return head.size() >= kPageHeader + 4 && U32(head, kPageHeader) == kMagic;
}

// magic, version, page size, flags, root, sequence, free list, end, transaction, checksum.
base::Status Bolt::ReadMeta(uint64_t page, uint64_t* newest) {
  const uint64_t at = page * (page == 0 ? 0 : page_size_) + kPageHeader;
  if (at + kMetaBytes > file_.size()) return Damaged("it is cut");
  const std::string_view meta = file_.substr(at, kMetaBytes);
  if (U32(meta, 0) != kMagic || U32(meta, 4) != kVersion ||
      U64(meta, 56) != Sum(meta.substr(0, 56)))
    return Damaged("a meta page's checksum is wrong");
  const uint64_t size = U32(meta, 8);
  if (size < 512 || size > (1 << 20) || (size & (size - 1)) != 0)
    return Damaged("its pages have an odd size");
  page_size_ = size;
  if (U64(meta, 48) < *newest) return base::OkStatus();
  *newest = U64(meta, 48);
  root_ = U64(meta, 16);
  return base::OkStatus();
}

base::StatusOr<Bolt> Bolt::Open(std::string_view file) {
  if (!IsBolt(file)) return base::InvalidArgumentError("no bbolt database");
  Bolt bolt(file);
  // The page size stands in a meta page; if the first one is damaged it is the usual one.
  bolt.page_size_ = 4096;
  uint64_t newest = 0;
  base::Status first = bolt.ReadMeta(0, &newest);
  const base::Status second = bolt.ReadMeta(1, &newest);
  if (!first.ok() && !second.ok()) return first;
  return bolt;
}

base::StatusOr<std::string_view> Bolt::PageAt(uint64_t page) const {
  const uint64_t pages = file_.size() / page_size_;
  if (page >= pages) return Damaged(fmt::format("there is no page {}", page));
  const std::string_view from = file_.substr(page * page_size_);
  const uint64_t length = (uint64_t{U32(from, 12)} + 1) * page_size_;
  if (length > from.size()) return Damaged(fmt::format("page {} goes over the end", page));
  return from.substr(0, length);
}

base::Status Bolt::WalkPage(std::string_view page, int depth, uint64_t* left, const Visit& visit,
                            bool buckets) const {
  if (depth > kMaxDepth || (*left)-- == 0) return Damaged("its pages go in circles");
  if (page.size() < kPageHeader) return Damaged("a page is cut");
  const uint16_t flags = U16(page, 8);
  const size_t count = U16(page, 10);
  if (flags != kBranch && flags != kLeaf) return Damaged("a page is of another kind");
  if (kPageHeader + count * kElement > page.size()) return Damaged("a page holds too much");
  for (size_t i = 0; i < count; ++i) {
    const size_t at = kPageHeader + i * kElement;
    if (flags == kBranch) {
      STRATA_ASSIGN_OR_RETURN(const std::string_view below, PageAt(U64(page, at + 8)));
      STRATA_RETURN_IF_ERROR(WalkPage(below, depth + 1, left, visit, buckets));
      continue;
    }
    const uint64_t start = at + uint64_t{U32(page, at + 4)};
    const uint64_t key_size = U32(page, at + 8), value_size = U32(page, at + 12);
    if (start + key_size + value_size > page.size()) return Damaged("a record goes over its page");
    const bool is_bucket = (U32(page, at) & kBucketLeaf) != 0;
    if (is_bucket != buckets) continue;
    STRATA_RETURN_IF_ERROR(
        visit(page.substr(start, key_size), page.substr(start + key_size, value_size)));
  }
  return base::OkStatus();
}

base::Status Bolt::WalkRoot(uint64_t page, const Visit& visit, bool buckets) const {
  STRATA_ASSIGN_OR_RETURN(const std::string_view root, PageAt(page));
  uint64_t left = file_.size() / page_size_ + 1;
  return WalkPage(root, 0, &left, visit, buckets);
}

base::Status Bolt::ForEach(std::string_view bucket, const Visit& visit) const {
  std::string_view header;
  STRATA_RETURN_IF_ERROR(WalkRoot(
      root_,
      [&](std::string_view key, std::string_view value) {
        if (key == bucket) header = value;
        return base::OkStatus();
      },
      /*buckets=*/true));
  if (header.empty()) return base::NotFoundError(fmt::format("there is no bucket {}", bucket));
  if (header.size() < kBucketHeader) return Damaged("a bucket is cut");
  const uint64_t page = U64(header, 0);
  if (page != 0) return WalkRoot(page, visit, /*buckets=*/false);
  // A small bucket's only page stands behind its header.
  uint64_t left = 1;
  return WalkPage(header.substr(kBucketHeader), 0, &left, visit, /*buckets=*/false);
}

}  // namespace strata::tool
