// Every name that the index knows (digests above all), stored once and called by number.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace strata::layers {

using NameId = uint32_t;

// The empty name; never reference-counted.
inline constexpr NameId kNoName = 0;

// One thread writes: Intern, Retain, Release, Find. Any thread may read the text of an id that it got, through a lock,
// from an object that holds a reference to it: such an entry doesn't move or change.
//
// A digest `sha256:<64 lower-case hex>` takes 40 bytes and about 6 of hash table; other names take a
// heap string.
class NameTable {
 public:
  NameTable();
  ~NameTable();
  NameTable(const NameTable&) = delete;
  NameTable& operator=(const NameTable&) = delete;

  // The id of `name`, with one reference more.
  NameId Intern(std::string_view name);
  void Retain(NameId id);
  // At the last reference the id is free for another name.
  void Release(NameId id);
  // kNoName if it isn't in the table.
  NameId Find(std::string_view name) const;

  // Appends the name's text.
  void AppendTo(NameId id, std::string& out) const;
  std::string Text(NameId id) const;
  size_t TextSize(NameId id) const;
  // Whether the text is plain ASCII that JSON doesn't escape; true of every digest.
  bool IsDigest(NameId id) const;
  // By the bytes of their texts: negative, zero or positive.
  int Compare(NameId a, NameId b) const;

  size_t size() const { return used_; }
  // What the table takes from the heap.
  size_t bytes() const;

 private:
  struct Entry;
  static constexpr uint32_t kChunkBits = 12;
  static constexpr uint32_t kChunk = 1u << kChunkBits;
  static constexpr uint32_t kChunks = 1u << 16;

  const Entry& at(NameId id) const;
  Entry& at(NameId id);
  uint64_t HashOf(std::string_view name) const;
  uint64_t HashOf(const Entry& entry) const;
  bool Equals(const Entry& entry, std::string_view name) const;
  NameId Allocate();
  size_t SlotOf(std::string_view name) const;
  void Grow();
  void EraseSlot(NameId id);

  // Fixed directory of chunks that never move, so that readers need no lock.
  const std::unique_ptr<std::atomic<Entry*>[]> chunks_;
  std::vector<uint32_t> slots_;  // open addressing, linear probing; 0 is empty
  std::vector<NameId> free_;
  uint32_t next_ = 1;
  size_t used_ = 0;
  size_t text_bytes_ = 0;
};

}  // namespace strata::layers
