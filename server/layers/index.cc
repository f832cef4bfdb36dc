#include "server/layers/index.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace strata::layers {
namespace {

// "namespace/name", on the stack but for absurd lengths: a hit doesn't allocate.
class StreamKey {
 public:
  StreamKey(std::string_view ns, std::string_view name) {
    text_.append(ns);
    text_.push_back('/');
    text_.append(name);
  }
  std::string_view view() const { return {text_.data(), text_.size()}; }
  std::string str() const { return std::string(view()); }

 private:
  fmt::basic_memory_buffer<char, 320> text_;
};

// What stays on an io thread: some 20 µs of encoding. Names that are no digests may be of any
// length.
constexpr size_t kSmallImages = 12;
constexpr size_t kSmallEntries = 256;
constexpr size_t kSmallTextBytes = 16 << 10;
// Names that Find looks at, repeated ones too.
constexpr size_t kFirstSteps = 2 * kSmallImages;
std::string Reason(const base::Status& status) {
  return std::string(base::Message(status));
}

}  // namespace

Index::Index(const Options& options, Report report)
    : options_(options),
      report_(std::move(report)),
      known_{names_.Intern(kOciManifest), names_.Intern(kDockerConfig), names_.Intern(kOciConfig)},
      cache_(options.cache_bytes) {}

Index::~Index() = default;

std::vector<Index::Record> Index::DecodeAll(std::span<const Change> changes) const {
  std::vector<Record> records;
  records.reserve(changes.size());
  for (const Change& change : changes) {
    const bool readable = change.state == Change::State::kPresent;
    if (change.state == Change::State::kDeleted) {
      records.emplace_back();
    } else if (change.kind == Change::Kind::kImage) {
      records.emplace_back(readable ? DecodeImage(change.object) : Unreadable(change.reason));
    } else {
      records.emplace_back(readable ? DecodeStream(change.object, options_.for_views)
                                    : Unreadable(change.reason));
    }
  }
  return records;
}

ImagePointer Index::MakeEntry(const ImageResult& record, NameId name, base::Revision revision,
                              std::string& reason) {
  ImageEntry::Parts parts;
  parts.name = name;
  if (options_.for_views) parts.revision = revision;
  if (!record.ok()) {
    reason = Reason(record.status());
    parts.unreadable = names_.Intern(reason);
    return ImageEntry::Make(recycler_, parts);
  }

  // With manifests there are neither layers nor config, as the API promises (image/v1
  // ImageBlobReferences.manifests).
  const bool is_list = !record->manifests.empty();
  const bool has_config = record->has_config && !is_list;
  parts.media_type = names_.Intern(record->media_type);
  parts.config = has_config ? names_.Intern(record->config) : kNoName;
  parts.config_unknown = has_config && record->config.empty();
  parts.dropped_beside_manifests = is_list && (!record->layers.empty() || record->has_config);
  if (!is_list) {
    std::vector<std::string_view> texts;
    texts.reserve(record->layers.size());
    for (const ImageRecord::Layer& layer : record->layers) texts.push_back(layer.name);
    const std::vector<NameId> ids = names_.InternAll(texts);
    parts.layers.reserve(ids.size());
    // Nearly always all layers have one type: it isn't looked for each time.
    std::string_view type;
    NameId type_id = kNoName;
    for (size_t i = 0; i < ids.size(); ++i) {
      const ImageRecord::Layer& layer = record->layers[i];
      if (ids[i] == kNoName) {
        parts.dropped_unnamed = true;
        continue;
      }
      if (layer.media_type == type) {
        names_.Retain(type_id);
      } else {
        type = layer.media_type;
        type_id = names_.Intern(type);
      }
      parts.layers.push_back({ids[i], type_id, layer.size});
    }
  }
  for (const std::string_view manifest : record->manifests) {
    if (manifest.empty()) {
      parts.dropped_unnamed = true;
    } else {
      parts.manifests.push_back(names_.Intern(manifest));
    }
  }
  return ImageEntry::Make(recycler_, parts);
}

StreamPointer Index::MakeEntry(const StreamResult& record, std::string_view key,
                               base::Revision revision, std::string& reason) {
  if (!record.ok()) {
    reason = Reason(record.status());
    return StreamEntry::MakeUnreadable(recycler_, key, revision, reason);
  }
  return StreamEntry::Make(recycler_, key, revision, record->metadata,
                           names_.InternAll(record->images),
                           EncodeTags(record->tags, record->images.size()));
}

Index::Decoded Index::Decode(const Change& change, const Record& record) {
  const bool deleted = change.state == Change::State::kDeleted;
  Decoded decoded;
  decoded.kind = change.kind;
  decoded.is_deletion = deleted;
  std::string reason;
  if (change.kind == Change::Kind::kImage) {
    decoded.image = names_.Intern(change.name);
    if (!deleted) {
      decoded.image_entry =
          MakeEntry(std::get<ImageResult>(record), decoded.image, change.revision, reason);
    } else if (options_.for_views) {
      decoded.vanished = Vanished(decoded.image, change.revision);
    }
  } else {
    decoded.stream = StreamKey(change.ns, change.name).str();
    if (!deleted) {
      decoded.stream_entry =
          MakeEntry(std::get<StreamResult>(record), decoded.stream, change.revision, reason);
    }
  }
  if (!reason.empty() && report_ && !IsReported(decoded, reason)) report_(change, reason);
  return decoded;
}

bool Index::IsReported(const Decoded& decoded, std::string_view reason) const {
  base::ReaderMutexLock lock(&mu_);
  if (decoded.kind == Change::Kind::kImage) {
    const ImagePointer image = records_.images.Find(decoded.image);
    return image != nullptr && names_.Text(image->unreadable()) == reason;
  }
  const StreamPointer stream = records_.streams.Find(decoded.stream);
  return stream != nullptr && stream->unreadable() == reason;
}

void Index::Release(const Decoded& change) {
  if (change.is_deletion) names_.Release(change.image);
}

void Index::Recycle() {
  const std::vector<NameId> returned = recycler_.Take();
  for (const NameId id : returned) names_.Release(id);
  if (options_.for_views) ForgetVanished(returned);
  name_count_.store(names_.size(), std::memory_order_relaxed);
  name_bytes_.store(names_.bytes(), std::memory_order_relaxed);
}

void Index::BeginList() {
  AbortList();
  list_.emplace();
}

void Index::AddToList(std::span<const Change> page) {
  const std::vector<Record> records = DecodeAll(page);
  absl::MutexLock lock(&list_mu_);
  for (size_t i = 0; i < page.size(); ++i) {
    Decoded decoded = Decode(page[i], records[i]);
    Release(decoded);
    if (decoded.image_entry != nullptr) list_->images.push_back(std::move(decoded.image_entry));
    if (decoded.stream_entry != nullptr) list_->streams.push_back(std::move(decoded.stream_entry));
  }
}

void Index::EndList(base::Revision revision) {
  size_t unreadable_images = 0, unreadable_streams = 0;
  Snapshot listed{.revision = revision,
                  .listed = revision,
                  .list = ++lists_,
                  .changed = revision,
                  .images = Images(std::move(list_->images)),
                  .streams = Streams(std::move(list_->streams))};
  if (options_.for_views) FillForViews(listed);
  listed.images.ForEach([&](const auto& image) { unreadable_images += image->usable() ? 0 : 1; });
  listed.streams.ForEach(
      [&](const auto& stream) { unreadable_streams += stream->usable() ? 0 : 1; });
  ResponseCache::Dropped dropped;  // freed after the lock is
  {
    base::MutexLock lock(&mu_);
    std::swap(records_, listed);
    unreadable_images_ = unreadable_images;
    unreadable_streams_ = unreadable_streams;
    cache_.Clear();
    dropped = cache_.TakeDropped();
    for (Assembly* assembly : assemblies_) Spoil(*assembly);
  }
  listed = {};  // what was replaced
  if (observer_ != nullptr) observer_->Listed(Now());
  AbortList();
}

void Index::AbortList() {
  if (!list_) return;
  list_.reset();
  Recycle();
}

void Index::Apply(std::span<const Change> changes) {
  const std::vector<Record> records = DecodeAll(changes);
  std::vector<Decoded> decoded;
  decoded.reserve(changes.size());
  for (size_t i = 0; i < changes.size(); ++i) decoded.push_back(Decode(changes[i], records[i]));
  ResponseCache::Dropped dropped;  // freed after the lock is, as are the entries that are replaced
  Snapshot before;
  {
    base::MutexLock lock(&mu_);
    if (observer_ != nullptr) before = records_;
    if (!changes.empty()) records_.revision = records_.changed = changes.front().revision;
    for (Decoded& change : decoded) {
      if (change.kind == Change::Kind::kImage) {
        PutImage(change);
      } else {
        PutStream(change);
      }
    }
    dropped = cache_.TakeDropped();
  }
  if (observer_ != nullptr && !changes.empty())
    observer_->Changed(StepOf(decoded, std::move(before)));
  for (const Decoded& change : decoded) Release(change);
  decoded.clear();
  Recycle();
}

void Index::Advance(base::Revision revision) {
  {
    base::MutexLock lock(&mu_);
    records_.revision = revision;
  }
  if (observer_ != nullptr) observer_->Advanced(revision);
}

Snapshot Index::Now() const {
  base::ReaderMutexLock lock(&mu_);
  return records_;
}

Reading Index::Read(std::stop_token stop) const {
  return Of(Now(), std::move(stop));
}

Reading Index::Of(Snapshot snapshot, std::stop_token stop) const {
  return {std::move(snapshot), names_, known_, options_.max_entries_per_answer, std::move(stop)};
}

// Something of it is otherwise now: whoever asks from now on can't have it, unless all of it is
// still to be found.
void Index::Spoil(Assembly& assembly) {
  if (assembly.walking_) {
    assembly.begins_again_ = true;
  } else {
    assembly.Close();
  }
}

void Index::PutImage(Decoded& change) {
  change.image_before = records_.images.Find(change.image);
  const ImagePointer& before = change.image_before;
  if (change.image_entry != nullptr && before != nullptr &&
      before->SaysTheSame(*change.image_entry)) {
    change.image_entry = before;  // as of the annotations, which no answer shows
    return;
  }
  cache_.DropUsersOf(change.image);
  for (Assembly* assembly : assemblies_) {
    if (!assembly->walk_.Visited(change.image)) continue;
    if (!assembly->walking_ || !assembly->walk_.Replace(change.image, change.image_entry))
      Spoil(*assembly);
  }
  if (before != nullptr && !before->usable()) --unreadable_images_;
  if (change.image_entry != nullptr) {
    if (!change.image_entry->usable()) ++unreadable_images_;
    records_.images.Put(change.image_entry);
  } else {
    records_.images.Take(change.image);
  }
  if (options_.for_views) PutForViews(change);
}

void Index::PutStream(Decoded& change) {
  cache_.DropStream(change.stream);
  for (Assembly* assembly : assemblies_) {
    if (assembly->key() == change.stream) Spoil(*assembly);
  }
  if (change.stream_entry != nullptr) {
    if (!change.stream_entry->usable()) ++unreadable_streams_;
    change.stream_before = records_.streams.Put(change.stream_entry);
  } else {
    change.stream_before = records_.streams.Take(change.stream);
  }
  if (change.stream_before != nullptr && !change.stream_before->usable()) --unreadable_streams_;
  if (options_.for_views) PutForViews(change);
}

bool Index::IsSmall(const Gathered& gathered, size_t entries, const Form& form) const {
  // YAML costs some ten times as much.
  const size_t few = form.representation.type == wire::MediaType::kYaml ? 1 : kSmallImages;
  if (gathered.nodes.size() >= few || entries > kSmallEntries) return false;
  size_t text = gathered.stream->metadata().size();
  const auto add = [&](NameId name) {
    if (!NameTable::IsDigest(name)) text += names_.TextSize(name);
  };
  for (const Gathered::Node& node : gathered.nodes) {
    add(node.name);
    if (node.image == nullptr) continue;
    for (size_t i = 0; i < node.image->layer_names().size(); ++i) {
      add(node.image->layer(i).name);
      add(node.image->layer(i).media_type);
    }
    add(node.image->config());
    add(node.image->media_type());
    for (const NameId child : node.image->manifests()) add(child);
  }
  return text <= kSmallTextBytes;
}

Lookup Index::Find(std::string_view ns, std::string_view name, const Form& form) const {
  Lookup lookup;
  const StreamKey key(ns, name);
  base::ReaderMutexLock lock(&mu_);
  lookup.answer = cache_.Find(key.view(), form);
  if (lookup.answer != nullptr) {
    hits_.fetch_add(1, std::memory_order_relaxed);
    lookup.result = Lookup::Result::kAnswer;
    if (!lookup.answer->is_refusal) return lookup;
    lookup.result = Lookup::Result::kUnreadable;
    lookup.reason = lookup.answer->body;
    return lookup;
  }
  const StreamPointer stream = records_.streams.Find(key.view());
  if (stream == nullptr) return lookup;
  misses_.fetch_add(1, std::memory_order_relaxed);
  lookup.result = Lookup::Result::kUnreadable;
  if (!stream->usable()) {
    lookup.reason = stream->unreadable();
    return lookup;
  }
  Walk walk(stream, options_.max_entries_per_answer);
  const Walk::State state = walk.Step(kFirstSteps, records_.images);
  if (state == Walk::State::kTooLarge) {
    lookup.reason = TooLarge(options_.max_entries_per_answer);
    return lookup;
  }
  lookup.gathered = walk.TakeGathered();
  lookup.result = Lookup::Result::kSmall;
  if (state == Walk::State::kMore || !IsSmall(lookup.gathered, walk.entries(), form)) {
    lookup.result = Lookup::Result::kLarge;
    lookup.images = stream->images().size();
    lookup.gathered = {};
  }
  return lookup;
}

Index::Stats Index::stats() const {
  Stats stats;
  stats.hits = hits_.load(std::memory_order_relaxed);
  stats.misses = misses_.load(std::memory_order_relaxed);
  stats.names = name_count_.load(std::memory_order_relaxed);
  stats.name_bytes = name_bytes_.load(std::memory_order_relaxed);
  base::ReaderMutexLock lock(&mu_);
  stats.images = records_.images.size();
  stats.streams = records_.streams.size();
  stats.unreadable_images = unreadable_images_;
  stats.unreadable_streams = unreadable_streams_;
  stats.cache = cache_.stats();
  return stats;
}

}  // namespace strata::layers
