#include "server/layers/index.h"

#include <absl/container/flat_hash_set.h>
#include <fmt/format.h>

#include <utility>

#include "server/layers/record.h"

namespace strata::layers {
namespace {

std::string StreamKey(std::string_view ns, std::string_view name) {
  std::string key;
  key.reserve(ns.size() + 1 + name.size());
  return key.append(ns).append("/").append(name);
}

}  // namespace

// A change ready to be put in place: nothing is left to do under the lock but to exchange pointers.
struct Index::Decoded {
  Change::Kind kind;
  NameId image = kNoName;  // with one reference, which the images' map holds while the image is there
  std::string stream;
  std::shared_ptr<const ImageEntry> image_entry;    // null: deleted
  std::shared_ptr<const StreamEntry> stream_entry;  // null: deleted
};

Index::Index(const Options& options, Report report)
    : options_(options),
      report_(std::move(report)),
      known_{names_.Intern(kOciManifest), names_.Intern(kDockerConfig), names_.Intern(kOciConfig)},
      records_(std::make_unique<Records>()),
      cache_(options.cache_bytes) {}

Index::~Index() = default;

std::shared_ptr<const ImageEntry> Index::DecodeImageEntry(const Change& change, std::string& reason) {
  const auto unreadable = [&](std::string_view why) {
    reason = why;
    return std::make_shared<const ImageEntry>(recycler_, kNoName, kNoName, false, false, false,
                                              std::span<const ImageEntry::Layer>(), std::span<const NameId>(),
                                              std::string(why));
  };
  if (change.state == Change::State::kUnreadable) return unreadable(change.reason);
  const auto record = DecodeImage(change.object);
  if (!record.ok()) return unreadable(base::Message(record.status()));

  // With manifests there are neither layers nor config, as the API promises (image/v1 ImageBlobReferences.manifests).
  const bool is_list = !record->manifests.empty();
  bool unnamed = false;
  std::vector<ImageEntry::Layer> layers;
  std::vector<NameId> manifests;
  for (const ImageRecord::Layer& layer : record->layers) {
    unnamed = unnamed || layer.name.empty();
    if (is_list || layer.name.empty()) continue;
    layers.push_back({names_.Intern(layer.name), names_.Intern(layer.media_type), layer.size});
  }
  for (const std::string_view manifest : record->manifests) {
    if (!manifest.empty()) manifests.push_back(names_.Intern(manifest));
  }
  const bool has_config = record->has_config && !is_list;
  return std::make_shared<const ImageEntry>(
      recycler_, names_.Intern(record->media_type), has_config ? names_.Intern(record->config) : kNoName,
      has_config && record->config.empty(), unnamed && !is_list,
      is_list && (!record->layers.empty() || record->has_config), layers, manifests, "");
}

std::shared_ptr<const StreamEntry> Index::DecodeStreamEntry(const Change& change, std::string& reason) {
  const auto unreadable = [&](std::string_view why) {
    reason = why;
    return std::make_shared<const StreamEntry>(recycler_, change.revision, "", std::vector<NameId>(), std::string(why));
  };
  if (change.state == Change::State::kUnreadable) return unreadable(change.reason);
  const auto record = DecodeStream(change.object);
  if (!record.ok()) return unreadable(base::Message(record.status()));
  std::vector<NameId> images;
  images.reserve(record->images.size());
  for (const std::string_view image : record->images) images.push_back(names_.Intern(image));
  return std::make_shared<const StreamEntry>(recycler_, change.revision, std::string(record->metadata),
                                             std::move(images), "");
}

Index::Decoded Index::Decode(const Change& change) {
  Decoded decoded{.kind = change.kind, .stream = {}, .image_entry = {}, .stream_entry = {}};
  std::string reason;
  const bool deleted = change.state == Change::State::kDeleted;
  if (change.kind == Change::Kind::kImage) {
    decoded.image = names_.Intern(change.name);
    if (!deleted) decoded.image_entry = DecodeImageEntry(change, reason);
  } else {
    decoded.stream = StreamKey(change.ns, change.name);
    if (!deleted) decoded.stream_entry = DecodeStreamEntry(change, reason);
  }
  if (!reason.empty() && report_) report_(change, reason);
  return decoded;
}

void Index::Recycle() {
  for (const NameId id : recycler_.Take()) names_.Release(id);
  for (const NameId id : std::exchange(released_image_names_, {})) names_.Release(id);
  name_count_.store(names_.size(), std::memory_order_relaxed);
  name_bytes_.store(names_.bytes(), std::memory_order_relaxed);
}

void Index::BeginList() { list_ = std::make_unique<Records>(); }

void Index::AddToList(std::span<const Change> page) {
  for (const Change& change : page) {
    Decoded decoded = Decode(change);
    if (change.kind == Change::Kind::kImage) {
      const bool inserted = list_->images.insert_or_assign(decoded.image, std::move(decoded.image_entry)).second;
      if (!inserted) released_image_names_.push_back(decoded.image);
    } else {
      list_->streams[decoded.stream] = std::move(decoded.stream_entry);
    }
  }
}

void Index::EndList() {
  size_t unreadable_images = 0, unreadable_streams = 0;
  for (const auto& [name, image] : list_->images) unreadable_images += image->usable() ? 0 : 1;
  for (const auto& [key, stream] : list_->streams) unreadable_streams += stream->usable() ? 0 : 1;
  {
    absl::MutexLock lock(&mu_);
    std::swap(records_, list_);
    unreadable_images_ = unreadable_images;
    unreadable_streams_ = unreadable_streams;
    cache_.Clear();
  }
  AbortList();  // what was replaced
}

void Index::AbortList() {
  if (list_ == nullptr) return;
  for (const auto& [name, image] : list_->images) released_image_names_.push_back(name);
  list_.reset();
  Recycle();
}

void Index::Apply(std::span<const Change> changes) {
  std::vector<Decoded> decoded;
  decoded.reserve(changes.size());
  for (const Change& change : changes) decoded.push_back(Decode(change));
  {
    absl::MutexLock lock(&mu_);
    for (Decoded& change : decoded) {
      if (change.kind == Change::Kind::kImage) {
        cache_.DropUsersOf(change.image);
        auto& images = records_->images;
        const auto found = images.find(change.image);
        const bool existed = found != images.end();
        if (existed && !found->second->usable()) --unreadable_images_;
        if (change.image_entry != nullptr && !change.image_entry->usable()) ++unreadable_images_;
        // One reference to the name stays for as long as the image is in the map; the change brought one of its own.
        if (existed || change.image_entry == nullptr) released_image_names_.push_back(change.image);
        if (change.image_entry == nullptr) {
          if (existed) {
            released_image_names_.push_back(change.image);
            images.erase(found);
          }
        } else if (existed) {
          std::swap(found->second, change.image_entry);
        } else {
          images.emplace(change.image, std::move(change.image_entry));
        }
      } else {
        cache_.DropStream(change.stream);
        auto& streams = records_->streams;
        const auto found = streams.find(change.stream);
        if (found != streams.end() && !found->second->usable()) --unreadable_streams_;
        if (change.stream_entry != nullptr && !change.stream_entry->usable()) ++unreadable_streams_;
        if (change.stream_entry == nullptr) {
          if (found != streams.end()) streams.erase(found);
        } else {
          streams.insert_or_assign(change.stream, std::move(change.stream_entry));
        }
      }
    }
  }
  decoded.clear();  // entries that were replaced go outside of the lock
  Recycle();
}

bool Index::Gather(Gathered& gathered) const {
  absl::flat_hash_set<NameId> visited;
  std::vector<NameId> stack(gathered.stream->images().rbegin(), gathered.stream->images().rend());
  gathered.nodes.reserve(stack.size());
  while (!stack.empty()) {
    const NameId name = stack.back();
    stack.pop_back();
    if (!visited.insert(name).second) continue;
    if (gathered.nodes.size() >= options_.max_images_per_answer) return false;
    const auto found = records_->images.find(name);
    gathered.nodes.push_back({name, found == records_->images.end() ? nullptr : found->second});
    const ImageEntry* image = gathered.nodes.back().image.get();
    if (image == nullptr) continue;
    stack.insert(stack.end(), image->manifests().rbegin(), image->manifests().rend());
  }
  return true;
}

Lookup Index::Find(std::string_view ns, std::string_view name, const Form& form) const {
  Lookup lookup;
  std::string key = StreamKey(ns, name);
  absl::ReaderMutexLock lock(&mu_);
  lookup.answer = cache_.Find(key, form);
  if (lookup.answer != nullptr) {
    hits_.fetch_add(1, std::memory_order_relaxed);
    lookup.result = Lookup::Result::kAnswer;
    return lookup;
  }
  const auto found = records_->streams.find(key);
  if (found == records_->streams.end()) return lookup;
  misses_.fetch_add(1, std::memory_order_relaxed);
  lookup.result = Lookup::Result::kUnreadable;
  if (!found->second->usable()) {
    lookup.reason = found->second->unreadable();
    return lookup;
  }
  lookup.gathered.key = std::move(key);
  lookup.gathered.stream = found->second;
  if (!Gather(lookup.gathered)) {
    lookup.reason = fmt::format("the stream reaches more than {} images", options_.max_images_per_answer);
    lookup.gathered = {};
    return lookup;
  }
  lookup.result = Lookup::Result::kBuild;
  return lookup;
}

base::StatusOr<std::shared_ptr<const Encoded>> Index::Build(const Gathered& gathered, const Form& form) {
  STRATA_ASSIGN_OR_RETURN(Encoded encoded, layers::Build(names_, known_, gathered, form));
  auto answer = std::make_shared<const Encoded>(std::move(encoded));
  absl::MutexLock lock(&mu_);
  const auto stream = records_->streams.find(gathered.key);
  if (stream == records_->streams.end() || stream->second != gathered.stream) return answer;
  for (const Gathered::Node& node : gathered.nodes) {
    const auto image = records_->images.find(node.name);
    if ((image == records_->images.end() ? nullptr : image->second) != node.image) return answer;
  }
  cache_.Insert(gathered.key, form, answer, gathered.nodes);
  return answer;
}

Index::Stats Index::stats() const {
  Stats stats;
  stats.hits = hits_.load(std::memory_order_relaxed);
  stats.misses = misses_.load(std::memory_order_relaxed);
  stats.names = name_count_.load(std::memory_order_relaxed);
  stats.name_bytes = name_bytes_.load(std::memory_order_relaxed);
  absl::ReaderMutexLock lock(&mu_);
  stats.images = records_->images.size();
  stats.streams = records_->streams.size();
  stats.unreadable_images = unreadable_images_;
  stats.unreadable_streams = unreadable_streams_;
  stats.cache = cache_.stats();
  return stats;
}

}  // namespace strata::layers
