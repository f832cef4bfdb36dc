// One image and one image stream as the index keeps them: immutable, replaced whole, shared with
// whoever builds an answer from them. Each is one block of memory, its references counted within:
// there are a hundred thousand of them and more.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "lib/base/revision.h"
#include "lib/base/status.h"
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

// An object of the size of T with `bytes` more behind it, which Make's users ask for by
// `new (bytes) T`.
struct WithTail {
  static void* operator new(size_t size, size_t bytes) { return ::operator new(size + bytes); }
  static void operator delete(void* at) { ::operator delete(at); }
  static void operator delete(void* at, size_t) { ::operator delete(at); }
};

class ImageEntry;
class StreamEntry;
using ImagePointer = boost::intrusive_ptr<const ImageEntry>;
using StreamPointer = boost::intrusive_ptr<const StreamEntry>;

class ImageEntry final : public boost::intrusive_ref_counter<ImageEntry>, private WithTail {
 public:
  struct Layer {
    NameId name;
    NameId media_type;
    int64_t size;
  };
  // What an entry is made of: it takes over one reference to each name, as often as it stands here.
  struct Parts {
    NameId name = kNoName;
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
    base::Revision revision = 0;  // since which it is so; 0: nobody asks
  };

  static ImagePointer Make(Recycler& recycler, const Parts& parts);
  ~ImageEntry();
  ImageEntry(const ImageEntry&) = delete;
  ImageEntry& operator=(const ImageEntry&) = delete;

  NameId name() const { return name_; }
  bool usable() const { return !is_unreadable_; }
  NameId unreadable() const { return is_unreadable_ ? media_type_ : kNoName; }
  NameId media_type() const { return is_unreadable_ ? kNoName : media_type_; }
  NameId config() const { return config_; }
  std::span<const NameId> layer_names() const { return {words(), layer_count_}; }
  Layer layer(size_t i) const;
  std::span<const NameId> manifests() const {
    return {words() + (WordCount() - manifest_count_ - (has_revision_ ? 2 : 0)), manifest_count_};
  }
  base::Revision revision() const;
  bool config_unknown() const { return config_unknown_; }
  bool dropped_unnamed() const { return dropped_unnamed_; }
  bool dropped_beside_manifests() const { return dropped_beside_manifests_; }
  // Whether all is the same, but for the revision.
  bool SaysTheSame(const ImageEntry& other) const;

  using WithTail::operator delete;  // for who drops the last reference

 private:
  using WithTail::operator new;
  struct Packing {
    bool wide_sizes = false;   // one doesn't fit 32 bits
    bool mixed_types = false;  // not all have the same
    bool revision = false;     // there is one
  };
  static Packing PackingOf(const Parts& parts);
  static size_t WordCount(size_t layers, size_t manifests, Packing packing) {
    return layers * (size_t{2} + packing.wide_sizes + packing.mixed_types) +
           (packing.mixed_types ? 0 : 1) + manifests + (packing.revision ? 2 : 0);
  }
  ImageEntry(Recycler& recycler, const Parts& parts, Packing packing);

  size_t WordCount() const {
    return WordCount(layer_count_, manifest_count_, {wide_sizes_, mixed_types_, has_revision_});
  }
  // The layers' names, their sizes (the low halves; then, if one is wide, the high halves), their
  // media types (one, if all have the same), the manifests, the revision's low half and high one.
  const uint32_t* words() const { return reinterpret_cast<const uint32_t*>(this + 1); }

  // The reference count, which is an int, stands before these.
  const NameId name_;
  Recycler& recycler_;
  const uint32_t layer_count_;
  const uint32_t manifest_count_;
  const NameId media_type_;  // or the reason why it is unreadable
  const NameId config_;
  const bool is_unreadable_ : 1;
  const bool config_unknown_ : 1;
  const bool dropped_unnamed_ : 1;
  const bool dropped_beside_manifests_ : 1;
  const bool wide_sizes_ : 1;
  const bool mixed_types_ : 1;
  const bool has_revision_ : 1;
};

class StreamEntry final : public boost::intrusive_ref_counter<StreamEntry>, private WithTail {
 public:
  // `key` is "namespace/name". Takes over one reference to each image's name.
  static StreamPointer Make(Recycler& recycler, std::string_view key, base::Revision revision,
                            std::string_view metadata, const std::vector<NameId>& images,
                            std::string_view tags = {});
  // One whose record can't be used, and why.
  static StreamPointer MakeUnreadable(Recycler& recycler, std::string_view key,
                                      base::Revision revision, std::string_view why);
  ~StreamEntry();
  StreamEntry(const StreamEntry&) = delete;
  StreamEntry& operator=(const StreamEntry&) = delete;

  std::string_view key() const { return {text(), key_size_}; }
  bool usable() const { return usable_; }
  std::string_view unreadable() const { return usable_ ? std::string_view() : rest(); }
  base::Revision revision() const { return revision_; }  // the record's mod revision
  // ObjectMeta in protobuf, as stored.
  std::string_view metadata() const { return usable_ ? rest() : std::string_view(); }
  // In stored order, each once.
  std::span<const NameId> images() const {
    return {reinterpret_cast<const NameId*>(this + 1), image_count_};
  }

  // As EncodeTags (tags.h) made them; empty where nobody asks for them.
  std::string_view tags() const { return {text() + key_size_ + rest_size_, tags_size()}; }

  using WithTail::operator delete;  // for who drops the last reference

 private:
  using WithTail::operator new;
  struct Texts {
    std::string_view key, rest, tags;
  };
  StreamEntry(Recycler& recycler, const Texts& texts, base::Revision revision,
              std::span<const NameId> images, bool usable);
  static StreamPointer Make(Recycler& recycler, const Texts& texts, base::Revision revision,
                            std::span<const NameId> images, bool usable);

  // Behind the images: how long the tags are, if there are any.
  const uint32_t* tail() const { return images().data() + image_count_; }
  size_t tags_size() const { return has_tags_ ? *tail() : 0; }
  // The key, then the metadata or why it is unreadable, then the tags.
  const char* text() const { return reinterpret_cast<const char*>(tail() + has_tags_); }
  std::string_view rest() const { return {text() + key_size_, rest_size_}; }

  const uint32_t image_count_;
  Recycler& recycler_;
  const base::Revision revision_;
  const uint32_t key_size_ : 31;
  const uint32_t has_tags_ : 1;
  const uint32_t rest_size_ : 31;
  const uint32_t usable_ : 1;
};

// What asks for an entry that can't be read is answered with.
inline base::Status Unreadable(std::string_view why) {
  return base::DataLossError(why.empty() ? "unknown" : why);
}

}  // namespace strata::layers
