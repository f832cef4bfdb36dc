// Which tags of a stream point at each of its images and have pointed at it, in a few bytes.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstddef>
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

// Of a stream of so many images.
std::string EncodeTags(std::span<const Tag> tags, size_t images);

// The tags that name the image at `place`, in their order, each once, and whether it is their
// newest. `encoded` is what EncodeTags made. It costs what it visits, however many others there
// are.
void ForEachTagOf(uint32_t place, std::string_view encoded,
                  absl::FunctionRef<void(std::string_view name, bool is_newest)> visit);

}  // namespace strata::layers
