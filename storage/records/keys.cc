#include "storage/records/keys.h"

#include <fmt/format.h>

#include <vector>

#include "lib/image/object_name.h"

namespace strata::records {
namespace {

// path.Join("/", prefix), without the slash of the root alone.
std::string CleanPrefix(std::string_view prefix) {
  std::vector<std::string_view> parts;
  while (!prefix.empty()) {
    const size_t slash = prefix.find('/');
    const std::string_view part = prefix.substr(0, slash);
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
    if (slash == std::string_view::npos) break;
    prefix.remove_prefix(slash + 1);
  }
  std::string clean;
  for (const std::string_view part : parts) clean.append("/").append(part);
  return clean;
}

bool IsName(std::string_view name) {
  return !name.empty() && image::IsPathSegment(name);
}

// The end of the range of keys that start with `prefix`, which ends with a slash.
std::string EndOfPrefix(std::string prefix) {
  ++prefix.back();
  return prefix;
}

}  // namespace

Keys::Keys(std::string_view prefix)
    : root_(CleanPrefix(prefix) + "/"),
      images_(fmt::format("{}{}/", root_, NamesOf(Kind::kImage).resource)),
      streams_(fmt::format("{}{}/", root_, NamesOf(Kind::kImageStream).resource)),
      end_(EndOfPrefix(streams_)) {}

std::string Keys::KeyOf(const Id& id) const {
  return id.kind == Kind::kImage ? images_ + id.name : streams_ + id.ns + "/" + id.name;
}

std::optional<Id> Keys::Parse(std::string_view key) const {
  if (key.starts_with(images_)) {
    key.remove_prefix(images_.size());
    if (!IsName(key)) return std::nullopt;
    return Id{Kind::kImage, "", std::string(key)};
  }
  if (!key.starts_with(streams_)) return std::nullopt;
  key.remove_prefix(streams_.size());
  const size_t slash = key.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view ns = key.substr(0, slash), name = key.substr(slash + 1);
  if (!IsName(ns) || !IsName(name)) return std::nullopt;
  return Id{Kind::kImageStream, std::string(ns), std::string(name)};
}

std::string Keys::begin_of_all() const {
  return root_;
}
std::string Keys::end_of_all() const {
  return EndOfPrefix(root_);
}

std::string Keys::BeginOf(Kind kind, std::string_view ns) const {
  if (kind == Kind::kImage) return images_;
  return ns.empty() ? streams_ : streams_ + std::string(ns) + "/";
}

std::string Keys::EndOf(Kind kind, std::string_view ns) const {
  return EndOfPrefix(BeginOf(kind, ns));
}

}  // namespace strata::records
