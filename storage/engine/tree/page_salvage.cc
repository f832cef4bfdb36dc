#include "storage/engine/tree/page_salvage.h"

#include <endian.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "storage/engine/tree/checksum.h"
#include "storage/engine/tree/lmdb_pages.h"
#include "storage/engine/tree/lmdb_terms.h"
#include "storage/engine/tree/map_faults.h"

namespace strata::engine::tree {
namespace {

// A file as one of its two first pages describes it.
class State {
 public:
  State(std::string_view file, size_t page_bytes, const Meta& meta)
      : file_(file),
        page_bytes_(page_bytes),
        meta_(meta),
        pages_(std::min<PageNumber>(meta.last + 1, file.size() / page_bytes)),
        used_(pages_) {}

  // Finds the leaves.
  void Walk() {
    WalkTree(meta_.main, "the list of tables", std::nullopt);
    if (found_.whole() && Counted()) return;
    // Where a page leads astray, the others are found without it.
    std::vector<Leaf> walked = std::exchange(leaves_, {});
    std::vector<std::string> of_tables = std::exchange(found_.unreadable, {});
    used_.assign(used_.size(), false);
    WalkTree(meta_.free, "the list of free pages", std::nullopt);
    if (found_.whole()) {
      TakeAllThatIsNotFree();
    } else {
      leaves_ = std::move(walked);
    }
    std::move(of_tables.begin(), of_tables.end(), std::back_inserter(found_.unreadable));
  }

  // Gives the entries of the leaves that were found.
  base::StatusOr<Salvaged> Read(EntryVisit visit) {
    for (const Leaf& leaf : leaves_) {
      const std::string_view page = Page(leaf.number);
      const size_t nodes = NodesOf(page).value_or(0);
      for (size_t i = 0; i < nodes; ++i) {
        const auto node = NodeAt(page, i, /*leaf=*/true);
        if (!leaf.table && node && node->flags == kSubTree) continue;  // of the list of tables
        STRATA_RETURN_IF_ERROR(ReadEntry(leaf, node, visit));
      }
    }
    const bool nothing_said = found_.whole();
    for (size_t table = 0; table < kTables && nothing_said; ++table) {
      const auto& expected = found_.expected[table];
      if (expected && found_.read[table] < *expected)
        Unreadable(fmt::format("{} entries of {}", *expected - found_.read[table], kNames[table]));
    }
    return found_;
  }

  bool whole() const { return found_.whole(); }
  size_t leaves() const { return leaves_.size(); }

 private:
  struct Leaf {
    PageNumber number = 0;
    std::optional<Table> table;  // nothing: its entries' checksums tell
  };
  enum class Of { kTables, kFreePages, kRecords };

  void Unreadable(std::string what) { found_.unreadable.push_back(std::move(what)); }

  void WalkTree(const Tree& tree, std::string_view name, std::optional<Table> table) {
    if (tree.root == kNone) return;
    if (tree.depth == 0 || tree.depth > kMaxDepth) {
      Unreadable(fmt::format("{}: it is {} pages deep", name, tree.depth));
    } else {
      WalkPage(tree.root, tree.depth, name, table);
    }
  }

  void WalkPage(PageNumber number, size_t levels, std::string_view name,
                std::optional<Table> table) {
    const bool leaf = levels == 1;
    const bool there = number >= kMetas && number < pages_ && !used_[number];
    const auto nodes =
        there && Is(number, leaf ? kLeaf : kBranch) ? NodesOf(Page(number)) : std::nullopt;
    if (!nodes) return Unreadable(fmt::format("page {} of {}", number, name));
    used_[number] = true;
    if (leaf && table) leaves_.push_back({number, table});
    for (size_t i = 0; i < *nodes; ++i) {
      const auto node = NodeAt(Page(number), i, leaf);
      if (!node) {
        // Of a leaf of records whoever reads it says so.
        if (!leaf || !table) Unreadable(fmt::format("an entry on page {} of {}", number, name));
      } else if (!leaf) {
        WalkPage(node->child, levels - 1, name, table);
      } else if (!table && node->flags == kSubTree) {
        WalkTable(*node);
      } else if (!table) {
        NoteFree(*node, number);
      }
    }
  }

  void WalkTable(const Node& node) {
    const auto name = std::find(kNames.begin(), kNames.end(), node.key);
    if (name == kNames.end() || node.size != sizeof(Tree))
      return Unreadable("an entry of the list of tables");
    const auto table = static_cast<Table>(name - kNames.begin());
    const auto tree = tree::Read<Tree>(node.data, 0);
    found_.expected[static_cast<size_t>(table)] = tree.entries;
    WalkTree(tree, *name, table);
  }

  // An entry of the list of free pages: how many, then their numbers.
  void NoteFree(const Node& node, PageNumber page) {
    const auto list = DataOf(node);
    const uint64_t count = list && list->size() >= 8 ? tree::Read<uint64_t>(*list, 0) : 0;
    if (!list || count >= list->size() / 8)
      return Unreadable(fmt::format("an entry on page {} of the list of free pages", page));
    for (uint64_t i = 1; i <= count; ++i) {
      const auto number = tree::Read<PageNumber>(*list, i * 8);
      if (number < pages_) used_[number] = true;
    }
    MarkBody(node);
  }

  // Whether each table has as many leaves and entries as it says.
  bool Counted() const {
    std::array<uint64_t, kTables> entries{};
    for (const Leaf& leaf : leaves_)
      entries[static_cast<size_t>(*leaf.table)] += NodesOf(Page(leaf.number)).value_or(0);
    for (size_t table = 0; table < kTables; ++table)
      if (found_.expected[table] != entries[table]) return false;
    return true;
  }

  // A large value may look like a leaf: what belongs to one is left out first.
  void TakeAllThatIsNotFree() {
    std::vector<PageNumber> leaves;
    for (PageNumber number = kMetas; number < pages_; ++number)
      if (!used_[number] && Is(number, kLeaf) && NodesOf(Page(number))) leaves.push_back(number);
    for (const PageNumber number : leaves)
      if (!used_[number]) MarkBodies(number);
    for (const PageNumber number : leaves)
      if (!used_[number]) leaves_.push_back({number, std::nullopt});
  }

  void MarkBodies(PageNumber number) {
    const std::string_view page = Page(number);
    const size_t nodes = NodesOf(page).value_or(0);
    for (size_t i = 0; i < nodes; ++i) {
      const auto node = NodeAt(page, i, /*leaf=*/true);
      if (node && TableOf(*node)) MarkBody(*node);
    }
  }

  void MarkBody(const Node& node) {
    if (node.flags != kBigData) return;
    const auto first = tree::Read<PageNumber>(node.data, 0);
    const uint64_t pages = (kPageHead - 1 + node.size) / page_bytes_ + 1;
    for (PageNumber page = first; page < std::min(pages_, first + pages); ++page)
      used_[page] = true;
  }

  std::optional<std::string_view> DataOf(const Node& node) const {
    if (node.flags == 0) return node.data;
    if (node.flags != kBigData) return std::nullopt;
    const auto first = tree::Read<PageNumber>(node.data, 0);
    if (first >= pages_ || file_.size() - first * page_bytes_ < kPageHead + node.size)
      return std::nullopt;
    return file_.substr(first * page_bytes_ + kPageHead, node.size);
  }

  // Whose checksum it has.
  std::optional<Table> TableOf(const Node& node) const {
    for (size_t table = 0; table < kTables; ++table)
      if (IsOf(static_cast<Table>(table), node)) return static_cast<Table>(table);
    return std::nullopt;
  }

  bool IsOf(Table table, const Node& node) const {
    const auto stored = DataOf(node);
    if (!stored || stored->size() < kSum) return false;
    const size_t size = stored->size() - kSum;
    return le32toh(tree::Read<uint32_t>(*stored, size)) ==
           Sum(table, node.key, stored->substr(0, size));
  }

  base::Status ReadEntry(const Leaf& leaf, const std::optional<Node>& node, EntryVisit visit) {
    const auto table = node && leaf.table && IsOf(*leaf.table, *node) ? leaf.table
                       : node && !leaf.table                          ? TableOf(*node)
                                                                      : std::nullopt;
    if (!table) {
      // Those that are bare are numbers.
      const bool bare = node && node->size == sizeof(uint64_t) &&
                        leaf.table.value_or(Table::kMeta) == Table::kMeta;
      if (bare) {
        ++found_.read[static_cast<size_t>(Table::kMeta)];
      } else {
        Unreadable(fmt::format(
            "an entry on page {}{}", leaf.number,
            leaf.table ? fmt::format(" of {}", kNames[static_cast<size_t>(*leaf.table)]) : ""));
      }
      return base::OkStatus();
    }
    ++found_.read[static_cast<size_t>(*table)];
    const std::string_view stored = *DataOf(*node);
    return visit(*table, node->key, stored.substr(0, stored.size() - kSum));
  }

  std::string_view Page(PageNumber number) const {
    return file_.substr(number * page_bytes_, page_bytes_);
  }
  bool Is(PageNumber number, uint16_t flags) const {
    const std::string_view page = Page(number);
    return tree::Read<PageNumber>(page, 0) == number &&
           tree::Read<uint16_t>(page, kFlagsAt) == flags;
  }

  const std::string_view file_;
  const size_t page_bytes_;
  const Meta meta_;
  const PageNumber pages_;  // that are in the file
  std::vector<bool> used_;
  std::vector<Leaf> leaves_;
  Salvaged found_;
};

// What the first pages say, those that can be believed, the newest first.
std::vector<State> States(std::string_view file, std::string_view checkpoint) {
  constexpr size_t kLeast = 512, kMost = 65536;
  MetaPages pages;
  if (checkpoint.size() == sizeof(pages)) std::memcpy(&pages, checkpoint.data(), sizeof(pages));
  std::vector<std::pair<size_t, Meta>> metas;
  for (size_t page_bytes = kLeast; page_bytes <= kMost && metas.empty(); page_bytes *= 2) {
    for (size_t i = 0; i < kMetas && file.size() >= kMetas * page_bytes; ++i) {
      const Meta meta = pages.page_bytes == page_bytes
                            ? pages.meta(i)
                            : Read<Meta>(file, i * page_bytes + kPageHead);
      if (meta.magic == kMagic && meta.version == kVersion && meta.free.pad == page_bytes &&
          (pages.page_bytes == page_bytes || checkpoint.empty()))
        metas.emplace_back(page_bytes, meta);
    }
  }
  std::stable_sort(metas.begin(), metas.end(),
                   [](const auto& a, const auto& b) { return a.second.txn > b.second.txn; });
  std::vector<State> states;
  states.reserve(metas.size());
  for (const auto& [page_bytes, meta] : metas) states.emplace_back(file, page_bytes, meta);
  return states;
}

base::StatusOr<Salvaged> SalvageFrom(std::string_view file, std::string_view checkpoint,
                                     EntryVisit visit) {
  std::vector<State> states = States(file, checkpoint);
  if (states.empty()) return base::DataLossError("neither of its first two pages can be read");
  // What the older one describes is there as it was; it lacks the last transaction.
  State* best = nullptr;
  for (State& state : states) {
    state.Walk();
    if (best == nullptr || (!best->whole() && (state.whole() || state.leaves() > best->leaves())))
      best = &state;
  }
  STRATA_ASSIGN_OR_RETURN(Salvaged salvaged, best->Read(visit));
  if (best != &states.front() || states.size() < kMetas)
    salvaged.unreadable.emplace_back(
        "one of the first two pages: what was written last may be missing");
  return salvaged;
}

}  // namespace

base::StatusOr<Salvaged> SalvageTables(const std::string& path, std::string_view checkpoint,
                                       EntryVisit visit) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return Error(errno, path);
  struct stat status {};
  void* map = MAP_FAILED;
  const auto size = fstat(file, &status) == 0 ? static_cast<size_t>(status.st_size) : 0;
  if (size > 0) map = mmap(nullptr, size, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (map == MAP_FAILED) return base::DataLossError(fmt::format("{} can't be read", path));
  // A page that the disk can't give reads as zeros, which are no page.
  MapFaults faults;
  faults.Watch(map, size);
  auto salvaged = SalvageFrom({static_cast<const char*>(map), size}, checkpoint, visit);
  if (faults.count() > 0 && salvaged.ok())
    salvaged->unreadable.push_back(
        fmt::format("{} pages, which the disk can't give", faults.count()));
  faults.Watch(nullptr, 0);
  munmap(map, size);
  if (!salvaged.ok()) return base::Annotate(salvaged.status(), path);
  return salvaged;
}

}  // namespace strata::engine::tree
