#include "server/layers/name_table.h"

#include <array>
#include <cstdlib>
#include <cstring>

#include "base/string_map.h"

namespace strata::layers {
namespace {

constexpr std::string_view kPrefix = "sha256:";
constexpr size_t kDigestBytes = 32;
constexpr size_t kDigestText = 7 + 2 * kDigestBytes;

constexpr int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// Two characters for each byte, so that a digest is written with 32 look-ups.
constexpr auto kHexPairs = [] {
  std::array<std::array<char, 2>, 256> pairs{};
  for (int i = 0; i < 256; ++i) pairs[i] = {"0123456789abcdef"[i >> 4], "0123456789abcdef"[i & 15]};
  return pairs;
}();

using Digest = std::array<uint8_t, kDigestBytes>;

bool ParseDigest(std::string_view name, Digest& digest) {
  if (name.size() != kDigestText || !name.starts_with(kPrefix)) return false;
  for (size_t i = 0; i < kDigestBytes; ++i) {
    const int high = HexValue(name[7 + 2 * i]), low = HexValue(name[8 + 2 * i]);
    if (high < 0 || low < 0) return false;
    digest[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

}  // namespace

struct NameTable::Entry {
  union {
    uint8_t digest[kDigestBytes];
    std::string* text;
  };
  uint32_t references;  // the writer's alone
  bool is_text;
};

NameTable::NameTable() : chunks_(new std::atomic<Entry*>[kChunks]()), slots_(1024) {}

NameTable::~NameTable() {
  for (uint32_t id = 1; id < next_; ++id) {
    if (at(id).is_text) delete at(id).text;
  }
  for (uint32_t i = 0; i < kChunks && chunks_[i] != nullptr; ++i) delete[] chunks_[i].load();
}

const NameTable::Entry& NameTable::at(NameId id) const {
  return chunks_[id >> kChunkBits].load(std::memory_order_acquire)[id & (kChunk - 1)];
}
NameTable::Entry& NameTable::at(NameId id) {
  return chunks_[id >> kChunkBits].load(std::memory_order_relaxed)[id & (kChunk - 1)];
}

// Seeded: whoever may write images chooses their digests.
uint64_t HashOfBytes(const void* bytes, size_t size) {
  return base::StringHash()({static_cast<const char*>(bytes), size});
}

uint64_t NameTable::HashOf(std::string_view name) const {
  Digest digest;
  return ParseDigest(name, digest) ? HashOfBytes(digest.data(), kDigestBytes) : HashOfBytes(name.data(), name.size());
}

uint64_t NameTable::HashOf(const Entry& entry) const {
  return entry.is_text ? HashOf(*entry.text) : HashOfBytes(entry.digest, kDigestBytes);
}

bool NameTable::Equals(const Entry& entry, std::string_view name) const {
  if (entry.is_text) return *entry.text == name;
  Digest digest;
  return ParseDigest(name, digest) && std::memcmp(entry.digest, digest.data(), kDigestBytes) == 0;
}

size_t NameTable::SlotOf(std::string_view name) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = HashOf(name) & mask;
  while (slots_[slot] != 0 && !Equals(at(slots_[slot]), name)) slot = (slot + 1) & mask;
  return slot;
}

NameId NameTable::Find(std::string_view name) const { return name.empty() ? kNoName : slots_[SlotOf(name)]; }

NameId NameTable::Allocate() {
  if (!free_.empty()) {
    const NameId id = free_.back();
    free_.pop_back();
    return id;
  }
  const uint32_t chunk = next_ >> kChunkBits;
  if (chunk >= kChunks) std::abort();  // 268 million names
  if (chunks_[chunk] == nullptr) chunks_[chunk].store(new Entry[kChunk], std::memory_order_release);
  return next_++;
}

NameId NameTable::Intern(std::string_view name) {
  if (name.empty()) return kNoName;
  size_t slot = SlotOf(name);
  if (slots_[slot] != 0) {
    ++at(slots_[slot]).references;
    return slots_[slot];
  }
  if ((used_ + 1) * 4 > slots_.size() * 3) {
    Grow();
    slot = SlotOf(name);
  }
  const NameId id = Allocate();
  Entry& entry = at(id);
  Digest digest;
  if (ParseDigest(name, digest)) {
    std::memcpy(entry.digest, digest.data(), kDigestBytes);
    entry.is_text = false;
  } else {
    entry.text = new std::string(name);
    entry.is_text = true;
    text_bytes_ += sizeof(std::string) + entry.text->capacity();
  }
  entry.references = 1;
  slots_[slot] = id;
  ++used_;
  return id;
}

void NameTable::Retain(NameId id) {
  if (id != kNoName) ++at(id).references;
}

void NameTable::Release(NameId id) {
  if (id == kNoName) return;
  Entry& entry = at(id);
  if (--entry.references != 0) return;
  EraseSlot(id);
  if (entry.is_text) {
    text_bytes_ -= sizeof(std::string) + entry.text->capacity();
    delete entry.text;
    entry.is_text = false;
  }
  free_.push_back(id);
  --used_;
}

void NameTable::Grow() {
  slots_.assign(slots_.size() * 2, 0);
  const size_t mask = slots_.size() - 1;
  for (NameId id = 1; id < next_; ++id) {
    if (at(id).references == 0) continue;
    size_t slot = HashOf(at(id)) & mask;
    while (slots_[slot] != 0) slot = (slot + 1) & mask;
    slots_[slot] = id;
  }
}

// Linear probing without tombstones: what follows is moved back (Knuth, TAOCP vol. 3, 6.4 R).
void NameTable::EraseSlot(NameId id) {
  const size_t mask = slots_.size() - 1;
  size_t hole = HashOf(at(id)) & mask;
  while (slots_[hole] != id) hole = (hole + 1) & mask;
  for (size_t next = (hole + 1) & mask; slots_[next] != 0; next = (next + 1) & mask) {
    const size_t home = HashOf(at(slots_[next])) & mask;
    if (((next - home) & mask) >= ((next - hole) & mask)) {
      slots_[hole] = slots_[next];
      hole = next;
    }
  }
  slots_[hole] = 0;
}

bool NameTable::IsDigest(NameId id) const { return id != kNoName && !at(id).is_text; }

void NameTable::AppendTo(NameId id, std::string& out) const {
  if (id == kNoName) return;
  const Entry& entry = at(id);
  if (entry.is_text) {
    out += *entry.text;
    return;
  }
  char text[kDigestText];
  std::memcpy(text, kPrefix.data(), kPrefix.size());
  for (size_t i = 0; i < kDigestBytes; ++i) std::memcpy(text + 7 + 2 * i, kHexPairs[entry.digest[i]].data(), 2);
  out.append(text, sizeof text);
}

std::string NameTable::Text(NameId id) const {
  std::string text;
  AppendTo(id, text);
  return text;
}

size_t NameTable::TextSize(NameId id) const {
  if (id == kNoName) return 0;
  return at(id).is_text ? at(id).text->size() : kDigestText;
}

int NameTable::Compare(NameId a, NameId b) const {
  if (a == b) return 0;
  if (IsDigest(a) && IsDigest(b)) return std::memcmp(at(a).digest, at(b).digest, kDigestBytes);
  return Text(a).compare(Text(b));
}

size_t NameTable::bytes() const {
  const size_t chunks = (next_ + kChunk - 1) / kChunk;
  return chunks * kChunk * sizeof(Entry) + slots_.capacity() * sizeof(uint32_t) + free_.capacity() * sizeof(NameId) +
         text_bytes_;
}

}  // namespace strata::layers
