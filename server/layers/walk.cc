#include "server/layers/walk.h"

#include <fmt/format.h>

#include <algorithm>

namespace strata::layers {

Walk::Walk(StreamPointer stream, size_t max_entries)
    : stream_(std::move(stream)), max_entries_(max_entries), entries_(stream_->images().size()) {
  frames_.push_back({nullptr, stream_->images()});
}

Walk::State Walk::Step(size_t steps, const Images& images) {
  for (; entries_ <= max_entries_; --steps) {
    while (!frames_.empty() && frames_.back().rest.empty()) frames_.pop_back();
    if (frames_.empty()) return State::kDone;
    if (steps == 0) return State::kMore;
    std::span<const NameId>& rest = frames_.back().rest;
    const NameId name = rest.front();
    rest = rest.subspan(1);
    if (!reach_.try_emplace(name, static_cast<uint32_t>(nodes_.size())).second) continue;
    ImagePointer image = images.Find(name);
    entries_ += EntriesOf(image);
    if (image != nullptr && !image->manifests().empty())
      frames_.push_back({image, image->manifests()});
    nodes_.push_back({name, std::move(image)});
  }
  return State::kTooLarge;
}

bool Walk::Replace(NameId name, const ImagePointer& image) {
  const auto visited = reach_.find(name);
  if (visited == reach_.end()) return true;
  ImagePointer& known = nodes_[visited->second].image;
  const auto children = [](const ImagePointer& of) {
    return of == nullptr ? std::span<const NameId>() : of->manifests();
  };
  const auto before = children(known), now = children(image);
  if (!std::equal(before.begin(), before.end(), now.begin(), now.end())) return false;
  entries_ += EntriesOf(image) - EntriesOf(known);
  known = image;
  return true;
}

std::string TooLarge(size_t max_entries) {
  return fmt::format("the stream reaches more than {} images and layers", max_entries);
}

}  // namespace strata::layers
