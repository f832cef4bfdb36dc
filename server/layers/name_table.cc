#include "server/layers/name_table.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "lib/base/keyed_hash.h"

namespace strata::layers {
namespace {

constexpr std::string_view kPrefix = "sha256:";

// The value of a lower-case hexadecimal digit; 255 for anything else.
constexpr auto kHexValues = [] {
  std::array<uint8_t, 256> values{};
  values.fill(255);
  for (int i = 0; i < 16; ++i)
    values[static_cast<uint8_t>("0123456789abcdef"[i])] = static_cast<uint8_t>(i);
  return values;
}();

// Two characters for each byte, so that a digest is written with 32 look-ups.
constexpr auto kHexPairs = [] {
  std::array<std::array<char, 2>, 256> pairs{};
  for (int i = 0; i < 256; ++i) pairs[i] = {"0123456789abcdef"[i >> 4], "0123456789abcdef"[i & 15]};
  return pairs;
}();

// Whoever may write images chooses their digests, and those of their layers.
uint64_t HashBytes(const void* bytes, size_t size) {
  return base::KeyedHash({static_cast<const char*>(bytes), size});
}

}  // namespace

// A name as it is looked for: as a digest if it is one.
struct NameTable::Key {
  Key() = default;
  explicit Key(std::string_view name) : text(name), is_digest(Parse()) {
    hash =
        is_digest ? HashBytes(digest.data(), digest.size()) : HashBytes(text.data(), text.size());
  }

  bool Parse() {
    if (text.size() != kDigestText || !text.starts_with(kPrefix)) return false;
    int all = 0;
    for (size_t i = 0; i < digest.size(); ++i) {
      const int high = kHexValues[static_cast<uint8_t>(text[7 + 2 * i])];
      const int low = kHexValues[static_cast<uint8_t>(text[8 + 2 * i])];
      all |= high | low;
      digest[i] = static_cast<uint8_t>((high & 15) << 4 | (low & 15));
    }
    return all < 16;
  }

  std::string_view text;
  Digest digest;
  bool is_digest;
  uint64_t hash;
};

NameTable::NameTable() : slots_(1024) {}

NameTable::~NameTable() = default;

uint64_t NameTable::HashOf(NameId id) const {
  if (IsDigest(id)) return HashBytes(digests_[id].data(), digests_[id].size());
  const std::string_view text = OtherText(id);
  return HashBytes(text.data(), text.size());
}

bool NameTable::Equals(NameId id, const Key& key) const {
  if (IsDigest(id) != key.is_digest) return false;
  return key.is_digest ? digests_[id] == key.digest : OtherText(id) == key.text;
}

size_t NameTable::SlotOf(const Key& key) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = key.hash & mask;
  while (slots_[slot] != kNoName && !Equals(slots_[slot], key)) slot = (slot + 1) & mask;
  return slot;
}

uint32_t& NameTable::ReferencesOf(NameId id) {
  return IsDigest(id) ? digest_references_[id] : text_references_[id & ~kTextBit];
}

NameId NameTable::Add(size_t slot, const Key& key) {
  auto& free = key.is_digest ? free_digests_ : free_texts_;
  uint32_t& next = key.is_digest ? next_digest_ : next_text_;
  uint32_t index = next;
  if (!free.empty()) {
    index = free.back() & ~kTextBit;
    free.pop_back();
  } else {
    if (next >= Segments<Digest>::kMaxSize) std::abort();  // two thousand million names
    ++next;
    if (key.is_digest) {
      digests_.Extend(index);
      digest_references_.Extend(index);
    } else {
      texts_.Extend(index);
      text_references_.Extend(index);
    }
  }
  const NameId id = key.is_digest ? index : index | kTextBit;
  base::MutexLock lock(&slots_mu_);
  if (key.is_digest) {
    digests_[index] = key.digest;
  } else {
    texts_[index] = std::make_unique<const std::string>(key.text);
    text_bytes_ += sizeof(std::string) + texts_[index]->capacity();
  }
  ReferencesOf(id) = 1;
  ++used_;
  return slots_[slot] = id;
}

NameId NameTable::Intern(std::string_view name) {
  return name.empty() ? kNoName : Intern(Key(name));
}

std::vector<NameId> NameTable::InternAll(std::span<const std::string_view> names) {
  constexpr size_t kAtOnce = 16;
  std::vector<NameId> ids;
  ids.reserve(names.size());
  while (!names.empty()) {
    const size_t count = std::min(kAtOnce, names.size());
    std::array<Key, kAtOnce> keys;
    const size_t mask = slots_.size() - 1;
    for (size_t i = 0; i < count; ++i) {
      keys[i] = Key(names[i]);
      __builtin_prefetch(&slots_[keys[i].hash & mask]);
    }
    for (size_t i = 0; i < count; ++i) {
      const NameId likely = slots_[keys[i].hash & mask];
      if (!IsDigest(likely)) continue;
      __builtin_prefetch(&digests_[likely]);
      __builtin_prefetch(&digest_references_[likely], /*for writing=*/1);
    }
    for (size_t i = 0; i < count; ++i) {
      ids.push_back(keys[i].text.empty() ? kNoName : Intern(keys[i]));
    }
    names = names.subspan(count);
  }
  return ids;
}

NameId NameTable::Intern(const Key& key) {
  size_t slot = SlotOf(key);
  if (slots_[slot] != kNoName) {
    ++ReferencesOf(slots_[slot]);
    return slots_[slot];
  }
  if ((used_ + 1) * 4 > slots_.size() * 3) {
    Grow();
    slot = SlotOf(key);
  }
  return Add(slot, key);
}

void NameTable::Retain(NameId id) {
  if (id != kNoName) ++ReferencesOf(id);
}

uint32_t NameTable::references(NameId id) const {
  return id == kNoName ? 0 : const_cast<NameTable&>(*this).ReferencesOf(id);
}

void NameTable::Release(NameId id) {
  if (id == kNoName || --ReferencesOf(id) != 0) return;
  base::MutexLock lock(&slots_mu_);
  EraseSlot(id);
  if (IsDigest(id)) {
    free_digests_.push_back(id);
  } else {
    auto& text = texts_[id & ~kTextBit];
    text_bytes_ -= sizeof(std::string) + text->capacity();
    text.reset();
    free_texts_.push_back(id);
  }
  --used_;
}

NameId NameTable::Find(std::string_view name) const {
  const Key key(name);
  base::MutexLock lock(&slots_mu_);
  return slots_[SlotOf(key)];
}

void NameTable::Grow() {
  base::MutexLock lock(&slots_mu_);
  std::vector<NameId> old(slots_.size() * 2);
  old.swap(slots_);
  const size_t mask = slots_.size() - 1;
  for (const NameId id : old) {
    if (id == kNoName) continue;
    size_t slot = HashOf(id) & mask;
    while (slots_[slot] != kNoName) slot = (slot + 1) & mask;
    slots_[slot] = id;
  }
}

// Linear probing without tombstones: what follows is moved back (Knuth, TAOCP vol. 3, 6.4 R).
void NameTable::EraseSlot(NameId id) {
  const size_t mask = slots_.size() - 1;
  size_t hole = HashOf(id) & mask;
  while (slots_[hole] != id) hole = (hole + 1) & mask;
  for (size_t next = (hole + 1) & mask; slots_[next] != kNoName; next = (next + 1) & mask) {
    const size_t home = HashOf(slots_[next]) & mask;
    if (((next - home) & mask) >= ((next - hole) & mask)) {
      slots_[hole] = slots_[next];
      hole = next;
    }
  }
  slots_[hole] = kNoName;
}

char* NameTable::WriteDigest(NameId digest, char* to) const {
  std::memcpy(to, kPrefix.data(), kPrefix.size());
  to += kPrefix.size();
  for (const uint8_t byte : digests_[digest]) {
    std::memcpy(to, kHexPairs[byte].data(), 2);
    to += 2;
  }
  return to;
}

std::string_view NameTable::OtherText(NameId id) const {
  return id == kNoName ? std::string_view() : std::string_view(*texts_[id & ~kTextBit]);
}

void NameTable::AppendTo(NameId id, std::string& out) const {
  if (!IsDigest(id)) {
    out += OtherText(id);
    return;
  }
  char text[kDigestText];
  WriteDigest(id, text);
  out.append(text, sizeof text);
}

std::string NameTable::Text(NameId id) const {
  std::string text;
  AppendTo(id, text);
  return text;
}

uint64_t NameTable::Rank(NameId id) const {
  if (!IsDigest(id)) return 0;
  uint64_t rank = 0;
  for (size_t i = 0; i < sizeof rank; ++i) rank = rank << 8 | digests_[id][i];
  return rank;
}

int NameTable::Compare(NameId a, NameId b) const {
  if (a == b) return 0;
  // Lower-case hexadecimal sorts as the bytes that it stands for.
  if (IsDigest(a) && IsDigest(b)) {
    return std::memcmp(digests_[a].data(), digests_[b].data(), sizeof(Digest));
  }
  return Text(a).compare(Text(b));
}

size_t NameTable::bytes() const {
  return next_digest_ * (sizeof(Digest) + sizeof(uint32_t)) +
         next_text_ * (sizeof(void*) + sizeof(uint32_t)) + text_bytes_ +
         (slots_.capacity() + free_digests_.capacity() + free_texts_.capacity()) * sizeof(NameId);
}

}  // namespace strata::layers
