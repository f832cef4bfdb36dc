// Ranges of keys, and where to cut one so that its parts can be listed beside each other. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/client/client.h"

namespace strata::reflector {

// [begin, end): every key is in it or not, whatever bytes it has.
struct KeyRange {
  std::string begin, end;
};

// The least key above `key`.
std::string After(std::string_view key);

// `range` as neighbours, at most `parts` of them, in order; each key of it is in exactly one. They
// are as even as one can guess: `found`, not empty, are the keys just before the range, in order,
// and where their names begin alike and which letters they are made of tells what may follow.
std::vector<KeyRange> Divide(const KeyRange& range, std::span<const client::KeyValue> found,
                             size_t parts);

}  // namespace strata::reflector
