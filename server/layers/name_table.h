// Every name that the index knows (digests above all), stored once and called by number.
#pragma once

#include <absl/base/thread_annotations.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/mutex.h"
#include "server/layers/segments.h"

namespace strata::layers {

// A digest's, or with the highest bit another text's.
using NameId = uint32_t;

// The empty name; never reference-counted.
inline constexpr NameId kNoName = 0;

// One thread writes: Intern, Retain, Release, references, size, bytes. Any thread may read the text
// of an id that it got, through a lock, from an object that holds a reference to it: such a text
// doesn't move or change.
//
// A digest `sha256:<64 lower-case hex>` takes 36 bytes and 6 to 11 of hash table; other names take
// a heap string. The room of names that are gone is used again, not given back.
class NameTable {
 public:
  NameTable();
  ~NameTable();
  NameTable(const NameTable&) = delete;
  NameTable& operator=(const NameTable&) = delete;

  // The id of `name`, with one reference more.
  NameId Intern(std::string_view name);
  // The same of each of `names`, kNoName of an empty one. Most names are far apart in memory: what
  // several need of it is fetched at once.
  std::vector<NameId> InternAll(std::span<const std::string_view> names);
  void Retain(NameId id);
  // At the last reference the id is free for another name.
  void Release(NameId id);
  // 0 of kNoName.
  uint32_t references(NameId id) const;

  // The id of `name`, kNoName if it isn't known. Any thread: the id is that name's for who held,
  // before asking, an object that refers to the name.
  NameId Find(std::string_view name) const ABSL_LOCKS_EXCLUDED(slots_mu_);

  // Whether it is a digest: plain ASCII that JSON doesn't escape, of kDigestText bytes.
  static constexpr size_t kDigestText = 7 + 64;
  static bool IsDigest(NameId id) { return id != kNoName && (id & kTextBit) == 0; }

  // Writes the kDigestText bytes of a digest, and returns what follows them.
  char* WriteDigest(NameId digest, char* to) const;
  // Of an id that isn't a digest.
  std::string_view OtherText(NameId id) const;

  void AppendTo(NameId id, std::string& out) const;
  std::string Text(NameId id) const;
  size_t TextSize(NameId id) const { return IsDigest(id) ? kDigestText : OtherText(id).size(); }

  // For sorting by the bytes of the texts. Of two digests with different ranks, the one with the
  // lower rank comes first; in all other cases Compare (negative, zero or positive) has to tell.
  uint64_t Rank(NameId id) const;
  int Compare(NameId a, NameId b) const;

  size_t size() const { return used_; }
  // What the table takes from the heap.
  size_t bytes() const;

 private:
  using Digest = std::array<uint8_t, 32>;
  struct Key;
  static constexpr NameId kTextBit = 1u << 31;

  uint64_t HashOf(NameId id) const;
  bool Equals(NameId id, const Key& key) const;
  // Where the name is in slots_, or the empty slot where it would be.
  size_t SlotOf(const Key& key) const;
  uint32_t& ReferencesOf(NameId id);
  NameId Intern(const Key& key);
  NameId Add(size_t slot, const Key& key) ABSL_LOCKS_EXCLUDED(slots_mu_);
  void Grow() ABSL_LOCKS_EXCLUDED(slots_mu_);
  void EraseSlot(NameId id);

  Segments<Digest> digests_;                            // from 1
  Segments<std::unique_ptr<const std::string>> texts_;  // by id without kTextBit

  // The rest is the writer's alone.
  Segments<uint32_t> digest_references_, text_references_;
  uint32_t next_digest_ = 1, next_text_ = 0;
  std::vector<NameId> free_digests_, free_texts_;
  // Open addressing, linear probing; kNoName is empty. Written, and read by others, under
  // slots_mu_.
  std::vector<NameId> slots_;
  mutable base::Mutex slots_mu_;
  size_t used_ = 0;
  size_t text_bytes_ = 0;
};

}  // namespace strata::layers
