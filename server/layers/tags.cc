#include "server/layers/tags.h"

#include <cstring>

namespace strata::layers {
namespace {

// At first stands where every 16th image's marks begin, then the names, each behind its size, and
// then the marks of each image, behind their number: where a tag's name stands, and whether the
// image is its newest.
constexpr size_t kStride = 16;

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

uint32_t MarkOf(uint32_t name, bool is_newest) {
  return name << 1 | static_cast<uint32_t>(is_newest);
}

}  // namespace

std::string EncodeTags(std::span<const Tag> tags, size_t images) {
  if (tags.empty() || images == 0) return "";
  std::string out((images + kStride - 1) / kStride * sizeof(uint32_t), '\0');
  std::vector<std::vector<uint32_t>> marks(images);
  for (const Tag& tag : tags) {
    const auto name = static_cast<uint32_t>(out.size());
    Append(static_cast<uint32_t>(tag.name.size()), out);
    out += tag.name;
    for (size_t i = 0; i < tag.images.size(); ++i) {
      if (tag.images[i] == 0) continue;
      std::vector<uint32_t>& of = marks[tag.images[i] - 1];
      if (of.empty() || of.back() >> 1 != name) of.push_back(MarkOf(name, i == 0));
    }
  }
  for (size_t image = 0; image < images; ++image) {
    const auto begin = static_cast<uint32_t>(out.size());
    if (image % kStride == 0)
      std::memcpy(out.data() + image / kStride * sizeof begin, &begin, sizeof begin);
    Append(static_cast<uint32_t>(marks[image].size()), out);
    for (const uint32_t mark : marks[image]) Append(mark, out);
  }
  return out;
}

void ForEachTagOf(uint32_t place, std::string_view encoded,
                  absl::FunctionRef<void(std::string_view name, bool is_newest)> visit) {
  if (place == 0 || encoded.empty()) return;
  uint32_t begin = 0;
  std::memcpy(&begin, encoded.data() + (place - 1) / kStride * sizeof begin, sizeof begin);
  std::string_view rest = encoded.substr(begin);
  for (size_t before = (place - 1) % kStride; before > 0; --before) {
    for (uint32_t marks = Take(rest); marks > 0; --marks) Take(rest);
  }
  for (uint32_t marks = Take(rest); marks > 0; --marks) {
    const uint32_t mark = Take(rest);
    std::string_view name = encoded.substr(mark >> 1);
    const uint32_t size = Take(name);
    visit(name.substr(0, size), (mark & 1) != 0);
  }
}

}  // namespace strata::layers
