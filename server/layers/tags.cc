#include "server/layers/tags.h"

namespace strata::layers {
namespace {

void Append(uint32_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

uint32_t Take(std::string_view& from) {
  uint32_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(from.front());
    from.remove_prefix(1);
    value |= static_cast<uint32_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
}

}  // namespace

std::string EncodeTags(std::span<const Tag> tags) {
  std::string out;
  for (const Tag& tag : tags) {
    Append(static_cast<uint32_t>(tag.name.size()), out);
    out += tag.name;
    Append(static_cast<uint32_t>(tag.images.size()), out);
    for (const uint32_t image : tag.images) Append(image, out);
  }
  return out;
}

void ForEachTag(std::string_view encoded, absl::FunctionRef<void(const Tag& tag)> visit) {
  Tag tag;
  while (!encoded.empty()) {
    const uint32_t size = Take(encoded);
    tag.name = encoded.substr(0, size);
    encoded.remove_prefix(size);
    tag.images.resize(Take(encoded));
    for (uint32_t& image : tag.images) image = Take(encoded);
    visit(tag);
  }
}

}  // namespace strata::layers
