// Which images each tag of a stream points at and has pointed at, in a few bytes.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace strata::layers {

// A tag's history, the newest first: each is 1 + its image's place among those of the stream, or 0
// where no image is named.
struct Tag {
  std::string_view name;
  std::vector<uint32_t> images;
};

std::string EncodeTags(std::span<const Tag> tags);

// `encoded` is what EncodeTags made. Views live until the call returns.
void ForEachTag(std::string_view encoded, absl::FunctionRef<void(const Tag& tag)> visit);

}  // namespace strata::layers
