#include "storage/engine/tree/page_check.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/engine/tree/checksum.h"
#include "storage/engine/tree/lmdb_pages.h"
#include "storage/engine/tree/lmdb_terms.h"
#include "storage/engine/tree/map_faults.h"

namespace strata::engine::tree {
namespace {

base::Status Damaged(std::string_view what) {
  return base::DataLossError(
      fmt::format("the store is damaged: {}; `strata-storage recover` tells what can be had, or "
                  "restore it from a snapshot",
                  what));
}

class Checker {
 public:
  explicit Checker(std::string_view file) : file_(file) {}

  base::Status Run() {
    STRATA_RETURN_IF_ERROR(TakeMeta());
    used_.resize(pages_);
    STRATA_RETURN_IF_ERROR(Walk({"the list of tables", meta_.main, Content::kTables}));
    if (tables_ != kTables) return Damaged("a table is missing");
    return Walk({"the list of free pages", meta_.free, Content::kFreePages});
  }

 private:
  enum class Content { kRecords, kTables, kFreePages };
  struct Walked {
    std::string_view name;
    Tree tree;
    Content content;
    Table table = Table::kMeta;  // of records
  };
  // The keys that a page may hold; no end is infinity.
  struct Keys {
    std::string_view begin;
    std::optional<std::string_view> end;
  };

  base::Status TakeMeta() {
    constexpr size_t kLeast = 512, kMost = 65536;
    std::array<Meta, kMetas> metas;
    if (file_.size() < kPageHead + sizeof(Meta)) return Damaged("it has no first page");
    std::memcpy(&metas[0], file_.data() + kPageHead, sizeof(Meta));
    page_bytes_ = metas[0].free.pad;
    if (!std::has_single_bit(page_bytes_) || page_bytes_ < kLeast || page_bytes_ > kMost)
      return Damaged(fmt::format("its first page says that a page has {} bytes", page_bytes_));
    if (file_.size() < kMetas * page_bytes_) return Damaged("it has no second page");
    std::memcpy(&metas[1], file_.data() + page_bytes_ + kPageHead, sizeof(Meta));
    for (size_t i = 0; i < kMetas; ++i) {
      const Meta& meta = metas[i];
      if (meta.magic != kMagic || meta.version != kVersion || meta.free.pad != page_bytes_ ||
          Flags(i) != kMeta || (meta.free.flags & ~kNoSubDirectory) != kIntegerKeys ||
          meta.main.flags != 0)
        return Damaged(fmt::format("page {} is not the first or second of such a file", i));
    }
    meta_ = metas[1].txn > metas[0].txn ? metas[1] : metas[0];
    // The last ones may never have been written, if they are free; no file grows by so much at
    // once.
    const PageNumber most = 16 * (file_.size() / page_bytes_) + (PageNumber{1} << 20);
    if (meta_.last >= most) return Damaged(fmt::format("it says that it has {} pages", meta_.last));
    pages_ = meta_.last + 1;
    return base::OkStatus();
  }

  base::Status Walk(const Walked& walked) {
    const uint64_t outside = std::exchange(entries_, 0);
    if (walked.tree.root != kNone) {
      if (walked.tree.depth == 0 || walked.tree.depth > kMaxDepth)
        return Damaged(fmt::format("{} is {} pages deep", walked.name, walked.tree.depth));
      STRATA_RETURN_IF_ERROR(WalkPage(walked, walked.tree.root, walked.tree.depth, {}));
    }
    if (const uint64_t met = std::exchange(entries_, outside); met != walked.tree.entries)
      return Damaged(fmt::format("{} has {} entries of {}", walked.name, met, walked.tree.entries));
    return base::OkStatus();
  }

  // `levels`: with this one, down to the leaves.
  base::Status WalkPage(const Walked& walked, PageNumber number, size_t levels, const Keys& keys) {
    const auto damaged = [&](std::string_view what) {
      return Damaged(fmt::format("page {} of {}: {}", number, walked.name, what));
    };
    if (!Use(number, 1)) return damaged("it is used twice, or not there");
    const std::string_view page = Page(number);
    const bool leaf = levels == 1;
    if (Read<PageNumber>(page, 0) != number || Flags(number) != (leaf ? kLeaf : kBranch))
      return damaged("it is another page");
    const auto nodes = NodesOf(page);
    if (!nodes) return damaged("its bounds are wrong");

    std::optional<Node> before;
    for (size_t i = 0; i <= *nodes; ++i) {
      std::optional<Node> node;
      if (i < *nodes) {
        node = NodeAt(page, i, leaf);
        if (!node) return damaged("an entry lies outside of it");
        // The first key of a branch is never looked at.
        const std::string_view key = !leaf && i == 0 ? keys.begin : node->key;
        if (walked.content == Content::kFreePages && node->key.size() != 8 && (leaf || i > 0))
          return damaged("an entry is none of a transaction");
        if (leaf || i > 0) {
          const bool ordered =
              i == 0 ? !Less(walked, key, keys.begin) : Less(walked, before->key, key);
          if (!ordered || (keys.end && !Less(walked, key, *keys.end)))
            return damaged("its keys are not in order");
        }
        node->key = key;
      }
      if (!leaf && before) {
        const Keys below{before->key, node ? std::optional(node->key) : keys.end};
        STRATA_RETURN_IF_ERROR(WalkPage(walked, before->child, levels - 1, below));
      }
      if (leaf && node) {
        ++entries_;
        STRATA_RETURN_IF_ERROR(CheckLeaf(walked, number, *node));
      }
      before = node;
    }
    return base::OkStatus();
  }

  base::Status CheckLeaf(const Walked& walked, PageNumber number, const Node& node) {
    const auto damaged = [&](std::string_view what) {
      return Damaged(fmt::format("page {} of {}: {}", number, walked.name, what));
    };
    if (walked.content == Content::kTables) {
      const auto name = std::find(kNames.begin(), kNames.end(), node.key);
      if (name == kNames.end() || node.flags != kSubTree || node.size != sizeof(Tree))
        return damaged("an entry is no table");
      const Tree tree = Read<Tree>(node.data, 0);
      if (tree.flags != 0) return damaged("a table is of another kind");
      ++tables_;
      return Walk({node.key, tree, Content::kRecords, static_cast<Table>(name - kNames.begin())});
    }
    if (node.flags != 0 && node.flags != kBigData) return damaged("an entry is of another kind");
    if (walked.content == Content::kRecords && walked.table != Table::kHistory) {
      // Those are looked for by their keys: what a damaged one stood for would not be missed.
      if (node.flags == 0 && Verified(walked.table, node.key, node.data)) return base::OkStatus();
      return damaged("the checksum of an entry is wrong");
    }
    std::string_view data = node.data;
    if (node.flags == kBigData) {
      const auto first = Read<PageNumber>(node.data, 0);
      const uint64_t pages = (kPageHead - 1 + node.size) / page_bytes_ + 1;
      if (!Use(first, pages)) return damaged("a large value is used twice, or not there");
      if (walked.content != Content::kFreePages) return base::OkStatus();
      if (Flags(first) != kOverflow || Read<uint32_t>(Page(first), kOverflowPagesAt) != pages)
        return damaged("a large list is none");
      data = file_.substr(first * page_bytes_ + kPageHead, node.size);
    }
    return walked.content == Content::kFreePages ? CheckFreePages(number, data) : base::OkStatus();
  }

  // How many, then their numbers, falling.
  base::Status CheckFreePages(PageNumber number, std::string_view list) {
    const auto damaged = [&] {
      return Damaged(fmt::format("page {} lists free pages that are not free", number));
    };
    if (list.size() < sizeof(uint64_t)) return damaged();
    const auto count = Read<uint64_t>(list, 0);
    if (count >= list.size() / sizeof(PageNumber)) return damaged();
    PageNumber before = kNone;
    for (uint64_t i = 1; i <= count; ++i) {
      const auto page = Read<PageNumber>(list, i * sizeof(PageNumber));
      if (page >= before || page < kMetas || page >= pages_ || used_[page]) return damaged();
      used_[page] = true;
      before = page;
    }
    return base::OkStatus();
  }

  static bool Less(const Walked& walked, std::string_view a, std::string_view b) {
    if (walked.content != Content::kFreePages) return a < b;
    if (a.empty() || b.empty()) return a.size() < b.size();
    return Read<uint64_t>(a, 0) < Read<uint64_t>(b, 0);
  }

  // False if they aren't in the file, or used already.
  bool Use(PageNumber first, uint64_t count) {
    if (first < kMetas || first >= pages_ || count > pages_ - first ||
        (first + count) * page_bytes_ > file_.size())
      return false;
    for (PageNumber page = first; page < first + count; ++page) {
      if (used_[page]) return false;
      used_[page] = true;
    }
    return true;
  }

  std::string_view Page(PageNumber number) const {
    return file_.substr(number * page_bytes_, page_bytes_);
  }
  uint16_t Flags(PageNumber number) const { return Read<uint16_t>(Page(number), kFlagsAt); }

  const std::string_view file_;
  size_t page_bytes_ = 0;
  Meta meta_;
  PageNumber pages_ = 0;  // that the file should have
  std::vector<bool> used_;
  size_t tables_ = 0;     // that were met
  uint64_t entries_ = 0;  // of the tree that is walked
};

}  // namespace

base::Status CheckTree(int file) {
  struct stat status {};
  if (fstat(file, &status) != 0)
    return base::InternalError(fmt::format("reading: {}", std::strerror(errno)));
  if (!S_ISREG(status.st_mode)) return base::FailedPreconditionError("it is no regular file");
  // A tree is made under another name, so that this one always has pages.
  if (status.st_size == 0) return Damaged("it is empty");
  const auto size = static_cast<size_t>(status.st_size);
  void* const map = mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0);
  if (map == MAP_FAILED)
    return base::InternalError(fmt::format("reading: {}", std::strerror(errno)));
  MapFaults faults;
  faults.Watch(map, size);
  base::Status checked = Checker({static_cast<const char*>(map), size}).Run();
  if (faults.count() > 0) checked = faults.Tell();
  faults.Watch(nullptr, 0);
  munmap(map, size);
  return checked;
}

}  // namespace strata::engine::tree
