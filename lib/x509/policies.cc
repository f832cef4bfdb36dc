#include "lib/x509/policies.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace strata::x509 {
namespace {

using std::string_view_literals::operator""sv;

constexpr auto kAnyPolicy = "\x55\x1d\x20\x00"sv;

// A policy at one depth, and what may stand for it one depth further.
struct Node {
  std::string_view policy;
  std::vector<std::string_view> expected;
  std::set<Node*> parents, children;
};

// RFC 9618 §3.4: a graph where RFC 5280 has a tree, so that its size is bounded by the number of
// policies.
class Graph {
 public:
  Graph() : levels_(1) { Insert(kAnyPolicy, {}); }

  void Deepen() {
    by_expected_.clear();
    for (const auto& [policy, node] : levels_.back()) {
      for (const std::string_view expected : node->expected) by_expected_[expected].push_back(node);
    }
    levels_.emplace_back();
  }

  Node* Insert(std::string_view policy, const std::vector<Node*>& parents) {
    Node& node = nodes_.emplace_back(Node{policy, {policy}, {}, {}});
    for (Node* parent : parents) {
      parent->children.insert(&node);
      node.parents.insert(parent);
    }
    levels_.back()[policy] = &node;
    return &node;
  }

  Node* Leaf(std::string_view policy) const { return In(levels_.back(), policy); }
  Node* AnyParent() const { return In(levels_[levels_.size() - 2], kAnyPolicy); }
  std::vector<Node*> Expecting(std::string_view policy) const {
    const auto found = by_expected_.find(policy);
    return found == by_expected_.end() ? std::vector<Node*>() : found->second;
  }

  // Expected policies that the deepest level lacks, with those that expect them.
  std::map<std::string_view, std::vector<Node*>> Missing() const {
    std::map<std::string_view, std::vector<Node*>> missing;
    for (const auto& [policy, parent] : levels_[levels_.size() - 2]) {
      for (const std::string_view expected : parent->expected) {
        if (Leaf(expected) == nullptr) missing[expected].push_back(parent);
      }
    }
    return missing;
  }

  void EraseLeaf(std::string_view policy) {
    if (Node* node = Leaf(policy)) Unlink(node);
    levels_.back().erase(policy);
  }

  // Whatever leads to no leaf.
  void Prune() {
    for (size_t depth = levels_.size() - 1; depth-- > 1;) {
      std::erase_if(levels_[depth], [](const auto& entry) {
        if (!entry.second->children.empty()) return false;
        Unlink(entry.second);
        return true;
      });
    }
  }

  // Whether a policy is valid: one that hangs on anyPolicy, or anyPolicy to the end.
  bool HasValidPolicy() const {
    if (Leaf(kAnyPolicy) != nullptr) return true;
    for (const auto& level : levels_) {
      for (const auto& [policy, node] : level) {
        if (policy != kAnyPolicy && node->parents.size() == 1 &&
            (*node->parents.begin())->policy == kAnyPolicy) {
          return true;
        }
      }
    }
    return false;
  }

 private:
  using Level = std::map<std::string_view, Node*>;

  static Node* In(const Level& level, std::string_view policy) {
    const auto found = level.find(policy);
    return found == level.end() ? nullptr : found->second;
  }
  static void Unlink(Node* node) {
    for (Node* parent : node->parents) parent->children.erase(node);
    for (Node* child : node->children) child->parents.erase(node);
  }

  std::deque<Node> nodes_;
  std::vector<Level> levels_;
  std::map<std::string_view, std::vector<Node*>> by_expected_;
};

// §6.1.3 (d). `any_counts`: anyPolicy in the certificate stands for all that are expected.
void AddPolicies(Graph& graph, const Policies& own, bool any_counts) {
  graph.Deepen();
  bool has_any = false;
  for (const std::string_view policy : own.policies) {
    if (policy == kAnyPolicy) {
      has_any = true;
      continue;
    }
    auto parents = graph.Expecting(policy);
    if (parents.empty() && graph.AnyParent() != nullptr) parents = {graph.AnyParent()};
    if (!parents.empty()) graph.Insert(policy, parents);
  }
  if (has_any && any_counts) {
    for (const auto& [policy, parents] : graph.Missing()) graph.Insert(policy, parents);
  }
  graph.Prune();
}

// §6.1.4 (b). False: the mapping isn't a valid one.
bool MapPolicies(Graph& graph, const Policies& own, bool allowed) {
  std::map<std::string_view, std::vector<std::string_view>> mapped;
  for (const auto& [issuers, subjects] : own.mappings) {
    if (!allowed) {
      graph.EraseLeaf(issuers);
      continue;
    }
    if (issuers == kAnyPolicy || subjects == kAnyPolicy) return false;
    mapped[issuers].push_back(subjects);
  }
  graph.Prune();
  for (auto& [issuers, subjects] : mapped) {
    if (Node* node = graph.Leaf(issuers)) {
      node->expected = std::move(subjects);
    } else if (Node* any = graph.Leaf(kAnyPolicy)) {
      graph.Insert(issuers, {any})->expected = std::move(subjects);
    }
  }
  return true;
}

// How many certificates more until it counts; what a certificate asks for can only be sooner.
void Lower(size_t& count, int64_t asked) {
  if (asked >= 0) count = std::min(count, static_cast<size_t>(asked));
}

}  // namespace

bool PoliciesAreValid(std::span<const Certificate* const> chain) {
  if (chain.size() == 1) return true;
  const size_t n = chain.size() - 1;  // without the anchor
  Graph graph;
  bool has_graph = true;
  size_t inhibit_any = n + 1, explicit_policy = n + 1, mapping = n + 1;

  for (size_t i = n; i-- > 0;) {
    const Certificate& certificate = *chain[i];
    const Policies& own = certificate.policies;
    const bool self_issued = certificate.raw_issuer == certificate.raw_subject;
    has_graph = has_graph && !own.policies.empty();
    if (explicit_policy == 0 && !has_graph) return false;
    if (has_graph) {
      AddPolicies(graph, own, inhibit_any > 0 || (i > 0 && self_issued));
      if (i > 0 && !own.mappings.empty() && !MapPolicies(graph, own, mapping > 0)) return false;
    }
    if (i == 0) break;
    if (!self_issued) {
      for (size_t* count : {&explicit_policy, &mapping, &inhibit_any}) {
        if (*count > 0) --*count;
      }
    }
    Lower(explicit_policy, own.require_explicit);
    Lower(mapping, own.inhibit_mapping);
    Lower(inhibit_any, own.inhibit_any);
  }

  if (explicit_policy > 0) --explicit_policy;
  if (chain[0]->policies.require_explicit == 0) explicit_policy = 0;
  return explicit_policy > 0 || (has_graph && graph.HasValidPolicy());
}

}  // namespace strata::x509
