#include "storage/engine/layout.h"

#include <endian.h>

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

namespace strata::engine {
namespace {

// Big-endian bytes of `number`, and back; the compiler makes one instruction of each.
template <typename T>
T Swapped(T number) {
  if constexpr (sizeof(T) == 8) return static_cast<T>(htobe64(static_cast<uint64_t>(number)));
  if constexpr (sizeof(T) == 4) return static_cast<T>(htobe32(static_cast<uint32_t>(number)));
  if constexpr (sizeof(T) == 2) return static_cast<T>(htobe16(static_cast<uint16_t>(number)));
  return number;
}

template <typename T>
char* Write(T number, char* out) {
  number = Swapped(number);
  std::memcpy(out, &number, sizeof(T));
  return out + sizeof(T);
}

template <typename T>
void Append(std::string& out, T number) {
  std::array<char, sizeof(T)> bytes;
  Write(number, bytes.data());
  out.append(bytes.data(), bytes.size());
}

// Takes a number off the front of `in`, which must hold one.
template <typename T>
T Take(std::string_view& in) {
  T number;
  in.copy(reinterpret_cast<char*>(&number), sizeof(T));
  in.remove_prefix(sizeof(T));
  return Swapped(number);
}

constexpr size_t kHistoryHeader = 1 + 8 + 8 + 8 + 4;
constexpr size_t kIndexValue = 1 + 4 + 8 + 8 + 8;
constexpr size_t kEndBytes = 4;
constexpr char kEnd = '\x01';
constexpr char kOneZero = '\xff', kFewZeros = '\xfe', kManyZeros = '\xfd';
// What kFewZeros can tell: 2 to 257; more is up to 512, which no key that is stored has.
constexpr size_t kFew = 257, kMany = 512;

// A run of zeros that another byte follows: longer ones come first.
void AppendRun(size_t zeros, std::string& out) {
  out.push_back('\0');
  if (zeros == 1) {
    out.push_back(kOneZero);
  } else if (zeros <= kFew) {
    out.push_back(kFewZeros);
    out.push_back(static_cast<char>(kFew - zeros));
  } else {
    out.push_back(kManyZeros);
    out.push_back(static_cast<char>(kMany - std::min(zeros, kMany)));
  }
}

// Those that the key ends with: fewer come first.
void AppendEnd(size_t zeros, std::string& out) {
  out.push_back('\0');
  out.push_back(kEnd);
  Append(out, static_cast<uint16_t>(std::min(zeros, size_t{UINT16_MAX})));
}

// Of `key` with so many zeros behind it.
std::string Escape(std::string_view key, size_t more = 0) {
  std::string out;
  out.reserve(key.size() + kEndBytes + 8);
  size_t zeros = 0;
  for (const char c : key) {
    if (c == '\0') {
      ++zeros;
      continue;
    }
    if (zeros > 0) AppendRun(std::exchange(zeros, 0), out);
    out.push_back(c);
  }
  AppendEnd(zeros + more, out);
  return out;
}

}  // namespace

HistoryKey::HistoryKey(Position at) {
  Write(at.sub, Write(at.revision, bytes_.data()));
}

std::optional<Position> ParseHistoryKey(std::string_view bytes) {
  if (bytes.size() != 12) return std::nullopt;
  Position at;
  at.revision = Take<int64_t>(bytes);
  at.sub = Take<uint32_t>(bytes);
  if (!IsCount(at.revision)) return std::nullopt;
  return at;
}

std::string EncodeHistory(const HistoryRecord& record) {
  std::string out;
  out.reserve(kHistoryHeader + record.key.size() + record.value.size());
  out.push_back(static_cast<char>(record.kind));
  Append(out, record.create_revision);
  Append(out, record.version);
  Append(out, record.lease);
  Append(out, static_cast<uint32_t>(record.key.size()));
  return out.append(record.key).append(record.value);
}

std::optional<HistoryRecord> ParseHistory(std::string_view bytes) {
  if (bytes.size() < kHistoryHeader) return std::nullopt;
  HistoryRecord record;
  record.kind = static_cast<Kind>(Take<uint8_t>(bytes));
  record.create_revision = Take<int64_t>(bytes);
  record.version = Take<int64_t>(bytes);
  record.lease = Take<int64_t>(bytes);
  const auto key_size = Take<uint32_t>(bytes);
  if (key_size > bytes.size() || record.kind > Kind::kTombstone) return std::nullopt;
  if (!IsCount(record.create_revision) || !IsCount(record.version)) return std::nullopt;
  record.key = bytes.substr(0, key_size);
  record.value = bytes.substr(key_size);
  return record;
}

std::string IndexLowerBound(std::string_view key) {
  return Escape(key);
}

// Nothing stands between a key and the same with one zero more.
std::string IndexAfter(std::string_view key) {
  return Escape(key, 1);
}

std::string AfterEscaped(std::string_view escaped) {
  std::string after(escaped);
  for (size_t at = after.size(); at-- > after.size() - 2;) {
    after[at] = static_cast<char>(after[at] + 1);
    if (after[at] != '\0') break;
  }
  return after;
}

std::string IndexKey(std::string_view key, Revision revision) {
  std::string out = Escape(key);
  Append(out, ~revision);
  return out;
}

std::optional<IndexKeyParts> ParseIndexKey(std::string_view bytes) {
  if (bytes.size() < kEndBytes + 8) return std::nullopt;
  IndexKeyParts parts;
  parts.escaped = bytes.substr(0, bytes.size() - 8);
  const std::string_view end = parts.escaped.substr(parts.escaped.size() - kEndBytes);
  if (end[0] != '\0' || end[1] != kEnd) return std::nullopt;
  bytes.remove_prefix(parts.escaped.size());
  parts.revision = ~Take<int64_t>(bytes);
  if (!IsCount(parts.revision)) return std::nullopt;
  return parts;
}

std::string Unescape(std::string_view escaped) {
  std::string_view end = escaped.substr(escaped.size() - 2);
  escaped.remove_suffix(kEndBytes);
  const auto ending = Take<uint16_t>(end);
  std::string out;
  if (ending == 0 && escaped.find('\0') == std::string_view::npos) {  // nearly every key
    out.assign(escaped);
    return out;
  }
  out.reserve(escaped.size() + ending);
  for (size_t i = 0; i < escaped.size(); ++i) {
    if (escaped[i] != '\0') {
      out.push_back(escaped[i]);
      continue;
    }
    const char run = i + 1 < escaped.size() ? escaped[++i] : kOneZero;
    size_t zeros = 1;
    if (run != kOneZero && i + 1 < escaped.size()) {
      zeros = (run == kFewZeros ? kFew : kMany) - static_cast<unsigned char>(escaped[++i]);
    }
    out.append(zeros, '\0');
  }
  out.append(ending, '\0');
  return out;
}

std::string EncodeIndex(const IndexRecord& record) {
  std::string out;
  out.reserve(kIndexValue);
  out.push_back(static_cast<char>(record.kind));
  Append(out, record.sub);
  Append(out, record.create_revision);
  Append(out, record.version);
  Append(out, record.lease);
  return out;
}

std::optional<IndexRecord> ParseIndex(std::string_view bytes) {
  if (bytes.size() != kIndexValue) return std::nullopt;
  IndexRecord record;
  record.kind = static_cast<Kind>(Take<uint8_t>(bytes));
  record.sub = Take<uint32_t>(bytes);
  record.create_revision = Take<int64_t>(bytes);
  record.version = Take<int64_t>(bytes);
  record.lease = Take<int64_t>(bytes);
  if (record.kind > Kind::kTombstone) return std::nullopt;
  if (!IsCount(record.create_revision) || !IsCount(record.version)) return std::nullopt;
  return record;
}

std::string EncodeNumber(int64_t number) {
  std::string out;
  Append(out, number);
  return out;
}

std::optional<int64_t> ParseNumber(std::string_view bytes) {
  if (bytes.size() != 8) return std::nullopt;
  return Take<int64_t>(bytes);
}

std::string LeaseKeyKey(int64_t lease, std::string_view key) {
  return EncodeNumber(lease).append(key);
}

bool KeyFits(std::string_view key) {
  return key.size() <= kMaxKeyBytes && Escape(key).size() <= kMaxEscapedBytes;
}

}  // namespace strata::engine
