// What the index keeps for views besides.
#include <algorithm>
#include <utility>

#include "server/layers/index.h"

namespace strata::layers {
namespace {

template <typename Set>
auto EntriesOf(const Set& set) {
  std::vector<std::decay_t<decltype(set.Find({}))>> entries;
  entries.reserve(set.size());
  set.ForEach([&](const auto& entry) { entries.push_back(entry); });
  return entries;
}

}  // namespace

void Index::FillForViews(Snapshot& listed) const {
  std::vector<StreamPointer> streams = EntriesOf(listed.streams);
  std::sort(streams.begin(), streams.end(),
            [](const StreamPointer& a, const StreamPointer& b) { return a->key() < b->key(); });
  // Digests are far apart in memory: each is looked at once, as far as their first bytes differ.
  std::vector<std::pair<uint64_t, ImagePointer>> ranked;
  std::vector<ImagePointer> lists;
  ranked.reserve(listed.images.size());
  listed.images.ForEach([&](const ImagePointer& image) {
    ranked.emplace_back(names_.Rank(image->name()), image);
    if (!image->manifests().empty()) lists.push_back(image);
  });
  std::sort(ranked.begin(), ranked.end(), [this](const auto& a, const auto& b) {
    const NameId first = a.second->name(), second = b.second->name();
    if (a.first != b.first && NameTable::IsDigest(first) && NameTable::IsDigest(second))
      return a.first < b.first;
    return names_.Compare(first, second) < 0;
  });
  std::vector<ImagePointer> images;
  images.reserve(ranked.size());
  for (auto& [rank, image] : ranked) images.push_back(std::move(image));
  listed.orders.emplace(Snapshot::Orders{
      SharedOrder<StreamPointer, StreamOrder>(std::move(streams)),
      SharedOrder<ImagePointer, ImageOrder>(std::move(images), ImageOrder{&names_})});
  listed.lists = Images(std::move(lists));
}

void Index::PutForViews(const Decoded& change) {
  if (!records_.orders) return;  // nothing is listed yet
  if (change.kind == Change::Kind::kImageStream) {
    auto& streams = records_.orders->streams;
    if (change.stream_entry != nullptr) return streams.Put(change.stream_entry);
    return streams.Take(change.stream);
  }
  auto& images = records_.orders->images;
  const ImagePointer& image = change.image_entry;
  if (image != nullptr) {
    images.Put(image);
    records_.vanished.Take(change.image);
  } else {
    images.Take(names_.Text(change.image));
    if (change.image_before != nullptr && change.vanished != nullptr)
      records_.vanished.Put(change.vanished);
  }
  if (image != nullptr && !image->manifests().empty()) {
    records_.lists.Put(image);
  } else {
    records_.lists.Take(change.image);
  }
}

// The name's own reference, and the image's if there is one: if there are more, others name it too.
ImagePointer Index::Vanished(NameId name, base::Revision revision) {
  if (names_.references(name) <= 2) return nullptr;
  names_.Retain(name);
  return ImageEntry::Make(recycler_,
                          {.name = name, .layers = {}, .manifests = {}, .revision = revision});
}

// Nobody asks any more when those vanished that nobody names.
void Index::ForgetVanished(std::span<const NameId> maybe) {
  Images vanished;
  {
    base::ReaderMutexLock lock(&mu_);
    vanished = records_.vanished;
  }
  if (vanished.empty()) return;
  std::vector<ImagePointer> unnamed;  // freed after the lock is
  for (const NameId id : maybe) {
    if (names_.references(id) != 1) continue;
    if (ImagePointer one = vanished.Find(id); one != nullptr) unnamed.push_back(std::move(one));
  }
  if (unnamed.empty()) return;
  base::MutexLock lock(&mu_);
  for (const ImagePointer& one : unnamed) records_.vanished.Take(one->name());
}

bool Index::SharesTopLayer(const ImageEntry& image) const {
  const auto layers = image.layer_names();
  if (layers.empty()) return false;
  const auto own = static_cast<size_t>(std::count(layers.begin(), layers.end(), layers.back()));
  return names_.references(layers.back()) > own;
}

Step Index::StepOf(std::span<const Decoded> changes, Snapshot before) {
  Step step{.before = std::move(before), .now = Now(), .images = {}, .streams = {}};
  step.revision = step.now.revision;
  for (const Decoded& change : changes) {
    if (change.kind == Change::Kind::kImageStream) {
      if (change.stream_before != change.stream_entry)
        step.streams.push_back({change.stream_before, change.stream_entry});
    } else if (change.image_before != change.image_entry) {
      // What has just come has its entry's reference alone, unless it is named.
      const bool is_new = change.image_before == nullptr;
      step.images.push_back({.name = change.image,
                             .before = change.image_before,
                             .now = change.image_entry,
                             .may_be_named = !is_new || names_.references(change.image) > 1,
                             .may_be_base = !is_new || SharesTopLayer(*change.image_entry)});
    }
  }
  return step;
}

}  // namespace strata::layers
