#include "lib/codec/json_tree.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

#include "lib/base/utf8.h"
#include "lib/codec/json_scan.h"

namespace strata::codec {
namespace {

// As Go's decoder reads it, and so that YAML can hold it.
std::string Valid(std::string text) {
  return base::IsUtf8(text) ? std::move(text) : base::ToValidUtf8(text);
}

class TreeParser {
 public:
  TreeParser(std::string_view in, const std::stop_token& stop) : in_(in), stop_(stop) {}

  JsonTree Value(size_t depth) {
    JsonTree tree;
    const char c = Peek();
    if (c == '"') {
      tree.kind = JsonTree::Kind::kString;
      tree.text = String();
    } else if ((c == '{' || c == '[') && depth >= kMaxTreeDepth) {
      tree.kind = JsonTree::Kind::kDeep;
      tree.text = Whole();
    } else if (c == '{' || c == '[') {
      tree.kind = c == '{' ? JsonTree::Kind::kObject : JsonTree::Kind::kList;
      Members(tree, depth);
    } else {
      const size_t end = in_.find_first_of(",]}", at_);
      tree.text = in_.substr(at_, end == std::string_view::npos ? end : end - at_);
      at_ += tree.text.size();
    }
    return tree;
  }

 private:
  char Peek() const { return at_ < in_.size() ? in_[at_] : '\0'; }

  void Members(JsonTree& tree, size_t depth) {
    const char close = in_[at_++] == '{' ? '}' : ']';
    while (at_ < in_.size() && Peek() != close && !stop_.stop_requested()) {
      if (tree.kind == JsonTree::Kind::kObject) {
        tree.keys.push_back(String());
        if (Peek() == ':') ++at_;
      }
      const size_t before = at_;
      tree.items.push_back(Value(depth + 1));
      if (Peek() == ',') ++at_;
      if (at_ == before) ++at_;  // not JSON: go on all the same
    }
    if (at_ < in_.size()) ++at_;
  }

  // The list or object at the cursor as text, passed over without recursion.
  std::string Whole() {
    const size_t start = at_;
    size_t open = 0;
    for (; at_ < in_.size(); ++at_) {
      const char c = in_[at_];
      if (c == '"') {
        at_ = JsonStringEnd(in_, at_);
      } else if (c == '{' || c == '[') {
        ++open;
      } else if ((c == '}' || c == ']') && --open == 0) {
        ++at_;
        break;
      }
    }
    if (at_ > in_.size()) at_ = in_.size();
    return Valid(std::string(in_.substr(start, at_ - start)));
  }

  std::string String() {
    std::string out;
    if (Peek() != '"') return out;
    ++at_;
    while (at_ < in_.size()) {
      const size_t end = in_.find_first_of("\"\\", at_);
      out += in_.substr(at_, end == std::string_view::npos ? end : end - at_);
      at_ = end == std::string_view::npos ? in_.size() : end + 1;
      if (end == std::string_view::npos || in_[end] == '"') break;
      Escape(out);
    }
    return Valid(std::move(out));
  }

  void Escape(std::string& out) {
    const char c = Peek();
    if (at_ < in_.size()) ++at_;
    switch (c) {
      case 'b':
        out += '\b';
        return;
      case 'f':
        out += '\f';
        return;
      case 'n':
        out += '\n';
        return;
      case 'r':
        out += '\r';
        return;
      case 't':
        out += '\t';
        return;
      case 'u':
        return base::AppendUtf8(CodePoint(), out);
      default:
        out += c;
    }
  }

  uint32_t Hex() {
    uint32_t value = 0xFFFD;
    const std::string_view digits = in_.substr(at_, 4);
    std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    at_ += digits.size();
    return value;
  }

  // Behind `\u`. Half a pair of surrogates is U+FFFD, as in Go.
  uint32_t CodePoint() {
    const uint32_t first = Hex();
    if (first < 0xD800 || first > 0xDFFF) return first;
    if (first < 0xDC00 && in_.substr(at_).starts_with("\\u")) {
      const size_t back = at_;
      at_ += 2;
      const uint32_t second = Hex();
      if (second >= 0xDC00 && second <= 0xDFFF)
        return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
      at_ = back;
    }
    return 0xFFFD;
  }

  const std::string_view in_;
  const std::stop_token& stop_;
  size_t at_ = 0;
};

}  // namespace

JsonTree ParseTree(std::string_view json, const std::stop_token& stop) {
  return TreeParser(json, stop).Value(0);
}

const JsonTree* Member(const JsonTree* tree, std::string_view key) {
  if (tree == nullptr || tree->kind != JsonTree::Kind::kObject) return nullptr;
  const auto at = std::find(tree->keys.begin(), tree->keys.end(), key);
  return at == tree->keys.end() ? nullptr
                                : &tree->items[static_cast<size_t>(at - tree->keys.begin())];
}

std::string StringMember(const JsonTree* tree, std::string_view key) {
  const JsonTree* value = Member(tree, key);
  return value != nullptr && value->kind == JsonTree::Kind::kString ? value->text : std::string();
}

}  // namespace strata::codec
