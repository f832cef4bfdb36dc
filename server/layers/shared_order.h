// Entries in order, whose copies cost nothing: they share all that neither of them changes
// afterwards. A B+ tree whose nodes are never changed, but made anew with what leads to them.
#pragma once

#include <absl/functional/function_ref.h>

#include <algorithm>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

namespace strata::layers {

// `By` says what stands where: a type Key, and Less(entry, key) and Less(key, entry). Of entries,
// of which none is equal to another, Of(entry) is the key. The const methods and copying by any
// number of threads at a time; the others by one, while nobody else uses this one. Copies may be in
// use.
template <typename Pointer, typename By>
class SharedOrder {
 public:
  using Key = typename By::Key;

  explicit SharedOrder(By by = {}) : by_(by) {}
  // In order already.
  explicit SharedOrder(std::vector<Pointer> entries, By by = {}) : by_(by) {
    std::vector<NodePointer> nodes = Grouped(std::move(entries), &Leaf);
    while (nodes.size() > 1) nodes = Grouped(std::move(nodes), &Branch);
    if (!nodes.empty()) root_ = std::move(nodes.front());
  }

  size_t size() const { return root_ == nullptr ? 0 : root_->total; }

  // In the place of the one with its key, if there is one.
  void Put(Pointer entry) {
    auto [root, beside] = Put(root_, std::move(entry));
    root_ = beside == nullptr ? std::move(root) : Branch({std::move(root), std::move(beside)});
  }

  // Takes the entry out, if there is one.
  void Take(const Key& key) {
    if (root_ != nullptr) root_ = Take(*root_, key);
  }

  // Those from `begin` on, in order, until `visit` says that this is enough.
  void VisitFrom(const Key& begin, absl::FunctionRef<bool(const Pointer& entry)> visit) const {
    if (root_ != nullptr) VisitFrom(*root_, begin, visit);
  }
  // How many of them there are.
  size_t CountFrom(const Key& begin) const {
    size_t count = 0;
    for (const Node* node = root_.get(); node != nullptr;) {
      if (node->children.empty()) {
        return count + static_cast<size_t>(node->entries.end() - LowerBound(*node, begin));
      }
      const size_t at = ChildOf(*node, begin);
      for (size_t i = at + 1; i < node->children.size(); ++i) count += node->children[i]->total;
      node = node->children[at].get();
    }
    return count;
  }

 private:
  static constexpr size_t kMost = 64;  // entries or children of a node

  struct Node;
  using NodePointer = boost::intrusive_ptr<const Node>;
  // A leaf has entries, any other node children, and neither is ever empty.
  struct Node : boost::intrusive_ref_counter<Node> {
    std::vector<Pointer> entries;
    std::vector<NodePointer> children;
    size_t total = 0;  // entries below

    const Pointer& first() const {
      return children.empty() ? entries.front() : children.front()->first();
    }
  };
  using Two = std::pair<NodePointer, NodePointer>;  // the second one is null unless they are two

  static NodePointer Leaf(std::vector<Pointer> entries) {
    const boost::intrusive_ptr<Node> node(new Node);
    node->total = entries.size();
    node->entries = std::move(entries);
    return node;
  }
  static NodePointer Branch(std::vector<NodePointer> children) {
    const boost::intrusive_ptr<Node> node(new Node);
    for (const NodePointer& child : children) node->total += child->total;
    node->children = std::move(children);
    return node;
  }
  // One node of all, or two where they are too many.
  template <typename T>
  static Two Divided(std::vector<T> all, NodePointer (*make)(std::vector<T>)) {
    if (all.size() <= kMost) return {make(std::move(all)), nullptr};
    const auto middle = all.begin() + static_cast<ptrdiff_t>(all.size() / 2);
    return {make({all.begin(), middle}), make({middle, all.end()})};
  }
  // Nodes of them all, which aren't full.
  template <typename T>
  static std::vector<NodePointer> Grouped(std::vector<T> all, NodePointer (*make)(std::vector<T>)) {
    constexpr ptrdiff_t kUsual = kMost * 3 / 4;
    std::vector<NodePointer> nodes;
    for (auto from = all.begin(); from != all.end();) {
      const auto to = from + std::min(kUsual, all.end() - from);
      nodes.push_back(make({std::make_move_iterator(from), std::make_move_iterator(to)}));
      from = to;
    }
    return nodes;
  }
  // With room for one more.
  template <typename T>
  static std::vector<T> Copied(const std::vector<T>& of) {
    std::vector<T> copy;
    copy.reserve(of.size() + 1);
    copy.insert(copy.end(), of.begin(), of.end());
    return copy;
  }

  auto LowerBound(const Node& leaf, const Key& key) const {
    return std::lower_bound(
        leaf.entries.begin(), leaf.entries.end(), key,
        [this](const Pointer& entry, const Key& to) { return by_.Less(*entry, to); });
  }
  // Where the key is or would be: in the last child that doesn't begin behind it, or the first.
  size_t ChildOf(const Node& branch, const Key& key) const {
    const auto behind = std::upper_bound(branch.children.begin() + 1, branch.children.end(), key,
                                         [this](const Key& from, const NodePointer& child) {
                                           return by_.Less(from, *child->first());
                                         });
    return static_cast<size_t>(behind - branch.children.begin()) - 1;
  }

  Two Put(const NodePointer& node, Pointer entry) const {
    if (node == nullptr) return {Leaf({std::move(entry)}), nullptr};
    const Key key = by_.Of(*entry);
    if (node->children.empty()) {
      const auto at = LowerBound(*node, key) - node->entries.begin();
      std::vector<Pointer> entries = Copied(node->entries);
      const auto place = entries.begin() + at;
      if (place != entries.end() && !by_.Less(key, **place)) {
        *place = std::move(entry);
      } else {
        entries.insert(place, std::move(entry));
      }
      return Divided(std::move(entries), &Leaf);
    }
    const size_t at = ChildOf(*node, key);
    std::vector<NodePointer> children = Copied(node->children);
    auto [child, beside] = Put(children[at], std::move(entry));
    children[at] = std::move(child);
    if (beside != nullptr)
      children.insert(children.begin() + static_cast<ptrdiff_t>(at) + 1, std::move(beside));
    return Divided(std::move(children), &Branch);
  }

  // Null if nothing is left.
  NodePointer Take(const Node& node, const Key& key) const {
    if (node.children.empty()) {
      const auto at = LowerBound(node, key);
      if (at == node.entries.end() || by_.Less(key, **at)) return NodePointer(&node);
      if (node.entries.size() == 1) return nullptr;
      std::vector<Pointer> entries = node.entries;
      entries.erase(entries.begin() + (at - node.entries.begin()));
      return Leaf(std::move(entries));
    }
    const size_t at = ChildOf(node, key);
    std::vector<NodePointer> children = node.children;
    children[at] = Take(*children[at], key);
    if (children[at] == nullptr) children.erase(children.begin() + static_cast<ptrdiff_t>(at));
    return children.empty() ? nullptr : Branch(std::move(children));
  }

  // Whether it goes on behind the node.
  bool VisitFrom(const Node& node, const Key& begin,
                 absl::FunctionRef<bool(const Pointer& entry)> visit) const {
    if (node.children.empty())
      return std::all_of(LowerBound(node, begin), node.entries.end(), visit);
    return std::all_of(node.children.begin() + static_cast<ptrdiff_t>(ChildOf(node, begin)),
                       node.children.end(),
                       [&](const NodePointer& child) { return VisitFrom(*child, begin, visit); });
  }

  [[no_unique_address]] By by_;
  NodePointer root_;  // null: empty
};

}  // namespace strata::layers
