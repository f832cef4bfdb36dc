#include "storage/reflector/key_range.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace strata::reflector {
namespace {

size_t CommonPrefix(std::string_view a, std::string_view b) {
  return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first -
                             a.begin());
}

// The least key above all that begin with `prefix`; empty if there is none.
std::string AfterAllWith(std::string_view prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.remove_suffix(1);
  std::string after(prefix);
  if (!after.empty()) ++after.back();
  return after;
}

// Keys as numbers: digits are the bytes that occur, in order, and zero is the key's end.
class Alphabet {
 public:
  Alphabet(std::span<const client::KeyValue> keys, size_t from) {
    std::array<bool, 256> occurs{};
    for (const client::KeyValue& kv : keys) {
      for (size_t i = from; i < kv.key.size(); ++i) occurs[static_cast<uint8_t>(kv.key[i])] = true;
    }
    for (size_t byte = 0; byte < occurs.size(); ++byte) {
      if (occurs[byte]) letters_.push_back(static_cast<char>(byte));
    }
  }

  bool empty() const { return letters_.empty(); }

  // What comes first in a key decides; a byte that doesn't occur counts as the next one that does.
  uint64_t NumberOf(std::string_view text) const {
    uint64_t number = 0;
    for (size_t i = 0; i < kDigits; ++i) {
      number = number * base() + (i < text.size() ? DigitOf(text[i]) : 0);
    }
    return number;
  }

  std::string TextOf(uint64_t number) const {
    std::string text;
    for (size_t i = 0; i < kDigits; ++i, number /= base()) {
      const uint64_t digit = number % base();
      if (digit == 0) {
        text.clear();  // a key ends here
      } else {
        text.push_back(letters_[std::min<uint64_t>(digit, letters_.size()) - 1]);
      }
    }
    std::reverse(text.begin(), text.end());
    return text;
  }

 private:
  static constexpr size_t kDigits = 7;  // base 258 to the seventh fits

  // One digit more than letters: that of a byte above them all.
  uint64_t base() const { return letters_.size() + 2; }
  uint64_t DigitOf(char byte) const {
    const auto less = [](char a, char b) {
      return static_cast<uint8_t>(a) < static_cast<uint8_t>(b);
    };
    return 1 +
           static_cast<uint64_t>(std::lower_bound(letters_.begin(), letters_.end(), byte, less) -
                                 letters_.begin());
  }

  std::string letters_;
};

// Behind all that begin as the found keys do, behind all that begin so but for the last letter, and
// so on: a directory that is full says nothing of its neighbours.
void CutByPrefix(const KeyRange& range, std::string_view prefix, size_t shared, size_t count,
                 std::vector<std::string>& cuts) {
  for (size_t size = prefix.size(); size > shared && cuts.size() < count; --size) {
    std::string cut = AfterAllWith(prefix.substr(0, size));
    if (cut < range.end) cuts.push_back(std::move(cut));
  }
}

// As if all names that the found keys' letters can form were as likely.
void CutByNumber(const KeyRange& range, std::span<const client::KeyValue> found, size_t shared,
                 size_t count, std::vector<std::string>& cuts) {
  const Alphabet alphabet(found, shared);
  if (alphabet.empty()) return;
  const uint64_t first = alphabet.NumberOf(std::string_view(range.begin).substr(shared));
  const uint64_t last = alphabet.NumberOf(std::string_view(range.end).substr(shared));
  if (last <= first) return;
  const uint64_t step = (last - first) / (count + 1);
  for (size_t i = 1; i <= count; ++i) {
    cuts.push_back(range.begin.substr(0, shared) + alphabet.TextOf(first + step * i));
  }
}

}  // namespace

std::string After(std::string_view key) {
  std::string after(key);
  after.push_back('\0');
  return after;
}

std::vector<KeyRange> Divide(const KeyRange& range, std::span<const client::KeyValue> found,
                             size_t parts) {
  const size_t shared = CommonPrefix(range.begin, range.end);
  const std::string& last = found.back().key;
  const std::string_view prefix =
      std::string_view(last).substr(0, CommonPrefix(found.front().key, last));
  std::vector<std::string> cuts;
  CutByPrefix(range, prefix, shared, parts / 2, cuts);
  CutByNumber(range, found, shared, parts - 1 - cuts.size(), cuts);
  std::sort(cuts.begin(), cuts.end());
  // However good the guess is, the parts are neighbours.
  std::vector<KeyRange> divided = {range};
  for (const std::string& cut : cuts) {
    KeyRange& rest = divided.back();
    if (cut <= rest.begin || cut >= rest.end) continue;
    std::string end = std::exchange(rest.end, cut);
    divided.push_back({cut, std::move(end)});
  }
  return divided;
}

}  // namespace strata::reflector
