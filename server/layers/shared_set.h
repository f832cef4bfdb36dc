// A set whose copies cost nothing: they share all that neither of them changes afterwards.
//
// A trie over the bits of the entries' hashes: 16 ways a level, and at its ends leaves of some ten
// entries. Who changes a set makes anew what leads to the entry, as far as a copy shares it.
#pragma once

#include <absl/functional/function_ref.h>

#include <algorithm>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace strata::layers {

// `By` says what an entry is found by: a type Key, Of(entry), and TagOf(key), 32 bits that few keys
// share. The const methods and copying by any number of threads at a time; the others by one, while
// nobody else uses this set. Its copies may be in use.
template <typename Pointer, typename By>
class SharedSet {
 public:
  using Key = typename By::Key;

  SharedSet() = default;
  // Of those with one key the last counts. Made so, a set takes the least memory.
  explicit SharedSet(std::vector<Pointer> entries);

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Null if there is none.
  Pointer Find(const Key& key) const {
    const uint32_t hash = HashOf(key);
    const Node* node = root_.get();
    for (int depth = 0; node != nullptr && node->is_branch(); ++depth)
      node = node->children()[WayOf(hash, depth)].get();
    const size_t at = node == nullptr ? kNowhere : node->IndexOf(hash, key);
    return at == kNowhere ? nullptr : node->entries()[at];
  }

  // Puts `entry` in the place of the one with its key, which is returned; null if there was none.
  Pointer Put(Pointer entry) {
    const uint32_t hash = HashOf(By::Of(*entry));
    Pointer before = Put(root_, 0, hash, std::move(entry));
    if (before == nullptr) ++size_;
    return before;
  }

  // Takes the entry out, if there is one.
  Pointer Take(const Key& key) {
    Pointer taken = Find(key);
    if (taken == nullptr) return taken;
    Remove(root_, 0, HashOf(key), key);
    --size_;
    return taken;
  }

  // In no order.
  void ForEach(absl::FunctionRef<void(const Pointer& entry)> visit) const {
    if (root_ != nullptr) Visit(*root_, visit);
  }

 private:
  static constexpr int kBits = 4;
  static constexpr uint32_t kWays = 1u << kBits;
  static constexpr int kMaxDepth = 32 / kBits;
  static constexpr size_t kMaxLeaf = 48;  // entries, but where there are no more bits
  static constexpr size_t kNowhere = SIZE_MAX;

  class Node;
  using NodePointer = boost::intrusive_ptr<Node>;
  using Hashed = std::pair<uint32_t, Pointer>;

  // MurmurHash3's fmix32: tags that are numbers in a row part at once, and none get the same.
  static uint32_t HashOf(const Key& key) {
    uint32_t h = By::TagOf(key);
    h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
    h = (h ^ (h >> 13)) * 0xC2B2AE35u;
    return h ^ (h >> 16);
  }
  static uint32_t WayOf(uint32_t hash, int depth) {
    return hash >> (32 - kBits * (depth + 1)) & (kWays - 1);
  }

  static NodePointer Make(std::span<Hashed> sorted, int depth);
  static NodePointer Split(Node& leaf, int depth);
  static Pointer Put(NodePointer& node, int depth, uint32_t hash, Pointer entry);
  static void Remove(NodePointer& node, int depth, uint32_t hash, const Key& key);
  static void Visit(const Node& node, absl::FunctionRef<void(const Pointer& entry)> visit);

  NodePointer root_;  // null: empty
  size_t size_ = 0;
};

// A branch, or a leaf: its entries, and then their hashes. One block of memory.
template <typename Pointer, typename By>
class SharedSet<Pointer, By>::Node : public boost::intrusive_ref_counter<Node> {
 public:
  static NodePointer MakeBranch() {
    return NodePointer(new (kWays * sizeof(NodePointer)) Node(kBranch));
  }
  // Of null entries.
  static NodePointer MakeLeaf(size_t count) {
    return NodePointer(new (count * (sizeof(Pointer) + sizeof(uint32_t)))
                           Node(static_cast<uint32_t>(count)));
  }
  ~Node() {
    if (is_branch()) {
      std::destroy_n(children(), kWays);
    } else {
      std::destroy_n(entries(), count_);
    }
  }
  static void operator delete(void* at) { ::operator delete(at); }

  // The node, or a copy of it if others have it too.
  static NodePointer Own(NodePointer node) {
    if (node->use_count() == 1) return node;
    if (!node->is_branch()) {
      const size_t count = node->count();  // arguments are evaluated in any order
      return Resized(std::move(node), kNowhere, count);
    }
    NodePointer copy = MakeBranch();
    std::copy_n(node->children(), kWays, copy->children());
    return copy;
  }
  // Leaves with one entry more or less; null instead of one without any.
  static NodePointer With(NodePointer leaf, uint32_t hash, Pointer entry) {
    const size_t count = leaf == nullptr ? 0 : leaf->count();
    leaf = leaf == nullptr ? MakeLeaf(1) : Resized(std::move(leaf), kNowhere, count + 1);
    leaf->Set(count, hash, std::move(entry));
    return leaf;
  }
  static NodePointer Without(NodePointer leaf, size_t at) {
    const size_t count = leaf->count();
    return count == 1 ? nullptr : Resized(std::move(leaf), at, count - 1);
  }

  bool is_branch() const { return count_ == kBranch; }
  size_t count() const { return count_; }  // of a leaf's entries
  NodePointer* children() { return reinterpret_cast<NodePointer*>(this + 1); }
  const NodePointer* children() const { return reinterpret_cast<const NodePointer*>(this + 1); }
  Pointer* entries() { return reinterpret_cast<Pointer*>(this + 1); }
  const Pointer* entries() const { return reinterpret_cast<const Pointer*>(this + 1); }
  const uint32_t* hashes() const { return reinterpret_cast<const uint32_t*>(entries() + count_); }

  void Set(size_t at, uint32_t hash, Pointer entry) {
    entries()[at] = std::move(entry);
    const_cast<uint32_t*>(hashes())[at] = hash;
  }

  size_t IndexOf(uint32_t hash, const Key& key) const {
    const uint32_t* const all = hashes();
    for (size_t i = 0; i < count_; ++i) {
      if (all[i] == hash && By::Of(*entries()[i]) == key) return i;
    }
    return kNowhere;
  }

 private:
  static constexpr uint32_t kBranch = UINT32_MAX;

  static void* operator new(size_t size, size_t bytes) { return ::operator new(size + bytes); }
  static void operator delete(void* at, size_t) { ::operator delete(at); }

  explicit Node(uint32_t count) : count_(count) {
    if (is_branch()) {
      std::uninitialized_value_construct_n(children(), kWays);
    } else {
      std::uninitialized_value_construct_n(entries(), count_);
    }
  }

  // A leaf of `count` entries: those of `leaf` but the one at `without`, and null ones.
  static NodePointer Resized(NodePointer leaf, size_t without, size_t count) {
    NodePointer resized = MakeLeaf(count);
    const bool is_mine = leaf->use_count() == 1;
    for (size_t from = 0, to = 0; from < leaf->count(); ++from) {
      if (from == without) continue;
      Pointer& entry = leaf->entries()[from];
      resized->Set(to++, leaf->hashes()[from], is_mine ? std::move(entry) : entry);
    }
    return resized;
  }

  const uint32_t count_;
};

template <typename Pointer, typename By>
SharedSet<Pointer, By>::SharedSet(std::vector<Pointer> entries) {
  std::vector<Hashed> sorted;
  sorted.reserve(entries.size());
  for (Pointer& entry : entries) {
    const uint32_t hash = HashOf(By::Of(*entry));
    sorted.emplace_back(hash, std::move(entry));
  }
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Hashed& a, const Hashed& b) { return a.first < b.first; });
  size_t same_hash = 0;  // where those begin that have the last one's
  for (Hashed& one : sorted) {
    if (size_ > 0 && sorted[size_ - 1].first != one.first) same_hash = size_;
    size_t at = same_hash;
    while (at < size_ && By::Of(*sorted[at].second) != By::Of(*one.second)) ++at;
    if (at == size_) ++size_;
    if (&sorted[at] != &one) sorted[at] = std::move(one);
  }
  root_ = Make({sorted.data(), size_}, 0);
}

template <typename Pointer, typename By>
auto SharedSet<Pointer, By>::Make(std::span<Hashed> sorted, int depth) -> NodePointer {
  if (sorted.empty()) return nullptr;
  if (sorted.size() <= kMaxLeaf || depth == kMaxDepth) {
    NodePointer leaf = Node::MakeLeaf(sorted.size());
    for (size_t i = 0; i < sorted.size(); ++i)
      leaf->Set(i, sorted[i].first, std::move(sorted[i].second));
    return leaf;
  }
  NodePointer branch = Node::MakeBranch();
  for (uint32_t way = 0; way < kWays; ++way) {
    const auto end = std::find_if(sorted.begin(), sorted.end(), [&](const Hashed& one) {
      return WayOf(one.first, depth) != way;
    });
    const auto count = static_cast<size_t>(end - sorted.begin());
    branch->children()[way] = Make(sorted.first(count), depth + 1);
    sorted = sorted.subspan(count);
  }
  return branch;
}

template <typename Pointer, typename By>
auto SharedSet<Pointer, By>::Split(Node& leaf, int depth) -> NodePointer {
  NodePointer branch = Node::MakeBranch();
  for (size_t i = 0; i < leaf.count(); ++i) {
    const uint32_t hash = leaf.hashes()[i];
    Put(branch->children()[WayOf(hash, depth)], depth + 1, hash, leaf.entries()[i]);
  }
  return branch;
}

template <typename Pointer, typename By>
Pointer SharedSet<Pointer, By>::Put(NodePointer& node, int depth, uint32_t hash, Pointer entry) {
  if (node == nullptr || !node->is_branch()) {
    const size_t at = node == nullptr ? kNowhere : node->IndexOf(hash, By::Of(*entry));
    if (at != kNowhere) {
      node = Node::Own(std::move(node));
      return std::exchange(node->entries()[at], std::move(entry));
    }
    if (node == nullptr || node->count() < kMaxLeaf || depth == kMaxDepth) {
      node = Node::With(std::move(node), hash, std::move(entry));
      return nullptr;
    }
    node = Split(*node, depth);
  }
  node = Node::Own(std::move(node));
  return Put(node->children()[WayOf(hash, depth)], depth + 1, hash, std::move(entry));
}

// The entry is there.
template <typename Pointer, typename By>
void SharedSet<Pointer, By>::Remove(NodePointer& node, int depth, uint32_t hash, const Key& key) {
  if (!node->is_branch()) {
    const size_t at = node->IndexOf(hash, key);
    node = Node::Without(std::move(node), at);
    return;
  }
  node = Node::Own(std::move(node));
  NodePointer* const children = node->children();
  Remove(children[WayOf(hash, depth)], depth + 1, hash, key);
  if (std::all_of(children, children + kWays, [](const auto& one) { return one == nullptr; }))
    node = nullptr;
}

template <typename Pointer, typename By>
void SharedSet<Pointer, By>::Visit(const Node& node,
                                   absl::FunctionRef<void(const Pointer& entry)> visit) {
  if (!node.is_branch()) {
    for (size_t i = 0; i < node.count(); ++i) visit(node.entries()[i]);
    return;
  }
  for (uint32_t way = 0; way < kWays; ++way) {
    if (const NodePointer& child = node.children()[way]; child != nullptr) Visit(*child, visit);
  }
}

}  // namespace strata::layers
