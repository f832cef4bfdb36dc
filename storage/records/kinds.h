// The kinds of records, and what they and their group are called: in records, in keys, in paths and
// on command lines.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace strata::records {

inline constexpr std::string_view kGroup = "image.openshift.io";
inline constexpr std::string_view kVersion = "v1";
inline constexpr std::string_view kApiVersion = "image.openshift.io/v1";
// What records from before there were groups say.
inline constexpr std::string_view kLegacyApiVersion = "v1";

enum class Kind { kImage, kImageStream };

struct KindNames {
  Kind kind;
  std::string_view name;      // "ImageStream", as records say it
  std::string_view list;      // "ImageStreamList"
  std::string_view resource;  // "imagestreams", as keys and paths say it
  std::string_view singular;
  std::string_view short_name;  // may be empty
};

inline constexpr std::array<KindNames, 2> kKinds = {{
    {Kind::kImage, "Image", "ImageList", "images", "image", ""},
    {Kind::kImageStream, "ImageStream", "ImageStreamList", "imagestreams", "imagestream", "is"},
}};

constexpr const KindNames& NamesOf(Kind kind) {
  return kKinds[static_cast<size_t>(kind)];
}

// By KindNames::name.
constexpr std::optional<Kind> KindNamed(std::string_view name) {
  for (const KindNames& names : kKinds)
    if (names.name == name) return names.kind;
  return std::nullopt;
}

}  // namespace strata::records
