// Encoded answers by stream and form, bounded by bytes, with what each of them depends on.
//
// Not thread-safe: the index calls it under its lock, Find under a shared one, everything else
// under an exclusive one. What is dropped is set aside for TakeDropped, so that megabytes are freed
// outside of that lock.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/limit.h"
#include "lib/base/string_map.h"
#include "server/layers/answer.h"
#include "server/layers/walk.h"

namespace strata::layers {

class ResponseCache {
 private:
  struct Stream;
  struct Use;

  struct Answer {
    Answer(Stream* s, const Form& f, std::shared_ptr<const Encoded> e, size_t b)
        : stream(s), form(f), encoded(std::move(e)), bytes(b) {}
    // Whether it is what `wanted` gets: a body too small to be compressed serves both.
    bool Serves(const Form& wanted) const;

    Stream* stream;
    Form form;  // with gzip only if the body is compressed
    std::shared_ptr<const Encoded> encoded;
    size_t bytes;
    mutable std::atomic<bool> used{false};
  };
  using Ring = std::list<Answer>;

  // An answer's dependency on an image, in the chain of all that depend on it.
  struct Use {
    NameId image;
    Stream* stream;
    Use* next;
    Use* previous;  // null: users_ points here
  };

  // The answers of one image stream. All of them are of its present state, so they depend on the
  // same images.
  struct Stream {
    std::string key;
    std::vector<Ring::iterator> answers;
    std::unique_ptr<Use[]> uses;
    size_t use_count = 0;
    std::unique_ptr<const Walk::Reach> reach;  // instead of uses, if they are many
    size_t bytes = 0;                          // of this and of the uses, or the reach
  };
  struct StreamHash : base::StringHash {
    using base::StringHash::operator();
    size_t operator()(const std::unique_ptr<Stream>& s) const { return (*this)(s->key); }
  };
  struct StreamEqual {
    using is_transparent = void;
    static std::string_view Key(std::string_view key) { return key; }
    static std::string_view Key(const std::unique_ptr<Stream>& s) { return s->key; }
    bool operator()(const auto& a, const auto& b) const { return Key(a) == Key(b); }
  };
  using Streams = absl::flat_hash_set<std::unique_ptr<Stream>, StreamHash, StreamEqual>;
  using Users = absl::flat_hash_map<NameId, Use*>;

 public:
  // Bytes of bodies and of the cache's own records. An answer larger than half of it isn't kept.
  explicit ResponseCache(const base::Limit& max_bytes) : max_bytes_(max_bytes) {}
  ResponseCache(const ResponseCache&) = delete;
  ResponseCache& operator=(const ResponseCache&) = delete;

  // Null if it isn't there. Marks the answer as used.
  std::shared_ptr<const Encoded> Find(std::string_view stream, const Form& form) const;

  // `images` are all names that the answer depends on, missing ones too, each once. Their ids must
  // stay valid for as long as the answer stands here: whoever changes or deletes the stream or an
  // image drops it first. If they are more than kChained, `reach` has them too, and is what is
  // kept: no answer, however large, is put in or dropped in more than some 50 µs. A refusal is
  // every form's answer.
  void Insert(std::string_view stream, const Form& form, std::shared_ptr<const Encoded> answer,
              const std::vector<Gathered::Node>& images, Walk::Reach reach);
  static constexpr size_t kChained = 1024;

  void DropStream(std::string_view stream);
  // Every answer that depends on the image.
  void DropUsersOf(NameId image);
  void Clear();

  // Frees what was dropped when it goes out of scope.
  class Dropped {
    friend class ResponseCache;
    Ring answers_;
    Streams streams_;
    Users users_;
    std::vector<std::unique_ptr<Stream>> reaching_;
  };
  Dropped TakeDropped() { return std::exchange(dropped_, {}); }

  struct Stats {
    size_t bytes = 0;
    size_t answers = 0;
    uint64_t evictions = 0;
  };
  Stats stats() const { return {bytes_, ring_.size(), evictions_}; }

 private:
  void DropAnswer(Ring::iterator answer);
  void Drop(Streams::iterator stream);
  void Link(Use& use);
  void Unlink(Use& use);
  void EvictTo(size_t bytes);

  const base::Limit max_bytes_;
  size_t bytes_ = 0;
  uint64_t evictions_ = 0;
  Streams streams_;
  Users users_;  // the first use of each image
  // Those with a reach. Each holds kChained names and their texts, so they are hundreds at most.
  std::vector<Stream*> reaching_;
  Ring ring_;  // in order of insertion; the hand goes round (second chance)
  Ring::iterator hand_ = ring_.end();
  Dropped dropped_;
};

}  // namespace strata::layers
