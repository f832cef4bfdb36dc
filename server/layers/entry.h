// One image and one image stream as the index keeps them: immutable, replaced whole, shared with
// whoever builds an answer from them.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/revision.h"
#include "server/layers/name_table.h"

namespace strata::layers {

// Takes back the names of entries whose last owner, on any thread, let go; the writer releases them
// in the table.
class Recycler {
 public:
  void Return(const std::vector<NameId>& names) ABSL_LOCKS_EXCLUDED(mu_);
  // All that came back since the last call.
  std::vector<NameId> Take() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  absl::Mutex mu_;
  std::vector<NameId> returned_ ABSL_GUARDED_BY(mu_);
};

class ImageEntry {
 public:
  struct Layer {
    NameId name;
    NameId media_type;
    int64_t size;
  };
  // What an entry is made of: it takes over one reference to each name, as often as it stands here.
  struct Parts {
    NameId unreadable = kNoName;  // why the record can't be used; then there is nothing else
    NameId media_type = kNoName;  // of the manifest
    NameId config = kNoName;      // its digest; kNoName: there is none
    std::vector<Layer> layers;
    std::vector<NameId> manifests;
    // What an answer warns of: the metadata tells no config; layers or manifests without a name
    // were left out; a list had layers or a config.
    bool config_unknown = false;
    bool dropped_unnamed = false;
    bool dropped_beside_manifests = false;
  };

  ImageEntry(Recycler& recycler, const Parts& parts);
  ~ImageEntry();
  ImageEntry(const ImageEntry&) = delete;
  ImageEntry& operator=(const ImageEntry&) = delete;

  bool usable() const { return !is_unreadable_; }
  NameId unreadable() const { return is_unreadable_ ? media_type_ : kNoName; }
  NameId media_type() const { return is_unreadable_ ? kNoName : media_type_; }
  NameId config() const { return config_; }
  std::span<const NameId> layer_names() const { return {words_.get(), layer_count_}; }
  Layer layer(size_t i) const;
  std::span<const NameId> manifests() const {
    return {words_.get() + (word_count() - manifest_count_), manifest_count_};
  }
  bool config_unknown() const { return config_unknown_; }
  bool dropped_unnamed() const { return dropped_unnamed_; }
  bool dropped_beside_manifests() const { return dropped_beside_manifests_; }

 private:
  size_t word_count() const {
    return layer_count_ * (2 + wide_sizes_ + mixed_types_) + (mixed_types_ ? 0 : 1) +
           manifest_count_;
  }

  Recycler& recycler_;
  // The layers' names, their sizes (the low halves; then, if one is wide, the high halves), their
  // media types (one, if all have the same), the manifests.
  std::unique_ptr<uint32_t[]> words_;
  const uint32_t layer_count_;
  const uint32_t manifest_count_;
  const NameId media_type_;  // or the reason why it is unreadable
  const NameId config_;
  const bool is_unreadable_ : 1;
  const bool config_unknown_ : 1;
  const bool dropped_unnamed_ : 1;
  const bool dropped_beside_manifests_ : 1;
  bool wide_sizes_ : 1;
  bool mixed_types_ : 1;
};

class StreamEntry {
 public:
  // `key` is "namespace/name". Takes over one reference to each image's name.
  StreamEntry(Recycler& recycler, std::string_view key, base::Revision revision,
              std::string_view metadata, std::vector<NameId> images);
  // One whose record can't be used, and why.
  StreamEntry(Recycler& recycler, std::string_view key, base::Revision revision,
              std::string_view unreadable);
  ~StreamEntry();
  StreamEntry(const StreamEntry&) = delete;
  StreamEntry& operator=(const StreamEntry&) = delete;

  std::string_view key() const { return std::string_view(text_).substr(0, key_size_); }
  bool usable() const { return usable_; }
  std::string_view unreadable() const { return usable_ ? std::string_view() : rest(); }
  base::Revision revision() const { return revision_; }  // the record's mod revision
  // ObjectMeta in protobuf, as stored.
  std::string_view metadata() const { return usable_ ? rest() : std::string_view(); }
  // In stored order, each once.
  std::span<const NameId> images() const { return {images_.get(), image_count_}; }

 private:
  std::string_view rest() const { return std::string_view(text_).substr(key_size_); }

  Recycler& recycler_;
  const base::Revision revision_;
  std::string text_;  // the key, and then the metadata or why it is unreadable
  std::unique_ptr<NameId[]> images_;
  const uint32_t image_count_;
  const uint32_t key_size_;
  const bool usable_;
};

}  // namespace strata::layers
