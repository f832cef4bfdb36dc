// Encoded answers by stream and form, bounded by bytes, with what each of them depends on.
//
// Not thread-safe: the index calls it under its lock. Find under a shared lock, everything else under an exclusive one.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/string_map.h"
#include "server/layers/answer.h"

namespace strata::layers {

class ResponseCache {
 public:
  // Bytes of bodies and of the cache's own records. An answer larger than half of it isn't kept.
  explicit ResponseCache(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Null if it isn't there. Marks the answer as used.
  std::shared_ptr<const Encoded> Find(std::string_view stream, const Form& form) const;

  // `images` are all names that the answer depends on, missing ones too. Their ids must stay valid for as long as the
  // answer stands here: whoever changes or deletes the stream or an image drops it first.
  void Insert(std::string_view stream, const Form& form, std::shared_ptr<const Encoded> answer,
              const std::vector<Gathered::Node>& images);

  void DropStream(std::string_view stream);
  // Every answer that depends on the image.
  void DropUsersOf(NameId image);
  void Clear();

  struct Stats {
    size_t bytes = 0;
    size_t answers = 0;
    uint64_t evictions = 0;
  };
  Stats stats() const { return {bytes_, ring_.size(), evictions_}; }

 private:
  struct Stream;
  struct Answer {
    Answer(Stream* s, const Form& f, std::shared_ptr<const Encoded> e, size_t b)
        : stream(s), form(f), encoded(std::move(e)), bytes(b) {}
    Stream* stream;
    Form form;
    std::shared_ptr<const Encoded> encoded;
    size_t bytes;
    mutable std::atomic<bool> used{false};
  };
  using Ring = std::list<Answer>;
  struct Stream {
    std::string key;
    std::vector<NameId> images;
    std::vector<Ring::iterator> answers;
    size_t bytes = 0;  // of this record
  };

  void Drop(Stream& stream);
  void EvictFor(size_t bytes);

  const size_t max_bytes_;
  size_t bytes_ = 0;
  uint64_t evictions_ = 0;
  base::StringMap<std::unique_ptr<Stream>> streams_;
  absl::flat_hash_map<NameId, std::vector<Stream*>> users_;
  Ring ring_;  // in order of insertion; the hand goes round (second chance)
  Ring::iterator hand_ = ring_.end();
};

}  // namespace strata::layers
