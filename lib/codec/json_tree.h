// A JSON value as a tree, for those who print it in another order or form. Numbers stay text: none
// is too large. Bytes that aren't UTF-8 are U+FFFD, each.
#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace strata::codec {

struct JsonTree {
  enum class Kind {
    kLiteral,  // null, true, false or a number: `text` as it stands
    kString,   // `text` unescaped
    kList,     // `items`
    kObject,   // `items` with their `keys`, in the order of the text, repeated ones too
    kDeep,     // a list or object nested too deeply to be taken apart: `text` as it stands
  };
  Kind kind = Kind::kLiteral;
  std::string text;
  std::vector<std::string> keys;
  std::vector<JsonTree> items;
};

// Levels below which lists and objects are kDeep, so that recursion over a tree is safe.
inline constexpr size_t kMaxTreeDepth = 200;

// `json` must be one compact, valid JSON value; of anything else the tree is meaningless, but made.
// Ends at the next member once it is stopped: the tree is a part, then.
JsonTree ParseTree(std::string_view json, const std::stop_token& stop = {});

// The first member of an object called `key`; null if there is none, or `tree` is null or no
// object.
const JsonTree* Member(const JsonTree* tree, std::string_view key);

// The text of such a member that is a string; empty if there is none.
std::string StringMember(const JsonTree* tree, std::string_view key);

}  // namespace strata::codec
