// One image and one image stream as the index keeps them: immutable, replaced whole, shared with whoever builds an
// answer from them.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/revision.h"
#include "server/layers/name_table.h"

namespace strata::layers {

// Takes back the names of entries whose last owner, on any thread, let go; the writer releases them in the table.
class Recycler {
 public:
  void Return(std::vector<NameId> names) ABSL_LOCKS_EXCLUDED(mu_);
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

  // Takes over one reference to each name. `unreadable` is empty, or why the record can't be used.
  ImageEntry(Recycler& recycler, NameId media_type, NameId config, bool config_unknown, bool dropped_layers,
             bool dropped_beside_manifests, std::span<const Layer> layers, std::span<const NameId> manifests,
             std::string unreadable);
  ~ImageEntry();
  ImageEntry(const ImageEntry&) = delete;
  ImageEntry& operator=(const ImageEntry&) = delete;

  bool usable() const { return unreadable_ == nullptr; }
  std::string_view unreadable() const { return unreadable_ == nullptr ? std::string_view() : *unreadable_; }

  NameId media_type() const { return media_type_; }  // of the manifest
  NameId config() const { return config_; }          // kNoName: there is none
  std::span<const Layer> layers() const { return {layers_.get(), layer_count_}; }
  std::span<const NameId> manifests() const { return {manifests_.get(), manifest_count_}; }

  // What an answer warns of: the metadata tells no config; layers without a name were left out; a list had layers.
  bool config_unknown() const { return config_unknown_; }
  bool dropped_layers() const { return dropped_layers_; }
  bool dropped_beside_manifests() const { return dropped_beside_manifests_; }

 private:
  Recycler& recycler_;
  const std::unique_ptr<const std::string> unreadable_;
  std::unique_ptr<Layer[]> layers_;
  std::unique_ptr<NameId[]> manifests_;
  const uint32_t layer_count_;
  const uint32_t manifest_count_;
  const NameId media_type_;
  const NameId config_;
  const bool config_unknown_ : 1;
  const bool dropped_layers_ : 1;
  const bool dropped_beside_manifests_ : 1;
};

class StreamEntry {
 public:
  // Takes over one reference to each image's name. `unreadable` is empty, or why the record can't be used.
  StreamEntry(Recycler& recycler, base::Revision revision, std::string metadata, std::vector<NameId> images,
              std::string unreadable);
  ~StreamEntry();
  StreamEntry(const StreamEntry&) = delete;
  StreamEntry& operator=(const StreamEntry&) = delete;

  bool usable() const { return unreadable_.empty(); }
  const std::string& unreadable() const { return unreadable_; }
  base::Revision revision() const { return revision_; }         // the record's mod revision
  const std::string& metadata() const { return metadata_; }     // ObjectMeta in protobuf, as stored
  std::span<const NameId> images() const { return images_; }    // in stored order, each once

 private:
  Recycler& recycler_;
  const base::Revision revision_;
  const std::string metadata_;
  const std::string unreadable_;
  std::vector<NameId> images_;
};

}  // namespace strata::layers
