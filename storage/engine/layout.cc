#include "storage/engine/layout.h"

#include <algorithm>

namespace strata::engine {
namespace {

template <typename T>
void Append(std::string& out, T number) {
  const auto bits = static_cast<std::make_unsigned_t<T>>(number);
  for (int shift = 8 * (sizeof(T) - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(bits >> shift & 0xff));
  }
}

// Takes a number off the front of `in`, which must hold one.
template <typename T>
T Take(std::string_view& in) {
  std::make_unsigned_t<T> bits = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    bits = static_cast<std::make_unsigned_t<T>>(bits << 8 | static_cast<unsigned char>(in[i]));
  }
  in.remove_prefix(sizeof(T));
  return static_cast<T>(bits);
}

constexpr size_t kHistoryHeader = 1 + 8 + 8 + 8 + 4;
constexpr size_t kIndexValue = 1 + 4 + 8 + 8 + 8;
constexpr std::string_view kEndMark("\x00\x01", 2);
constexpr std::string_view kAfterMark("\x00\x02", 2);

std::string Escape(std::string_view key, std::string_view mark) {
  std::string out;
  out.reserve(key.size() + 10);
  for (const char c : key) {
    out.push_back(c);
    if (c == '\0') out.push_back('\xff');
  }
  return out.append(mark);
}

}  // namespace

std::string HistoryKey(Position at) {
  std::string out;
  Append(out, at.revision);
  Append(out, at.sub);
  return out;
}

std::optional<Position> ParseHistoryKey(std::string_view bytes) {
  if (bytes.size() != 12) return std::nullopt;
  Position at;
  at.revision = Take<int64_t>(bytes);
  at.sub = Take<uint32_t>(bytes);
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
  record.key = bytes.substr(0, key_size);
  record.value = bytes.substr(key_size);
  return record;
}

std::string IndexLowerBound(std::string_view key) {
  return Escape(key, kEndMark);
}

std::string IndexAfter(std::string_view key) {
  return Escape(key, kAfterMark);
}

std::string IndexKey(std::string_view key, Revision revision) {
  std::string out = Escape(key, kEndMark);
  Append(out, ~revision);
  return out;
}

std::optional<IndexKeyParts> ParseIndexKey(std::string_view bytes) {
  if (bytes.size() < 10) return std::nullopt;
  IndexKeyParts parts;
  parts.escaped = bytes.substr(0, bytes.size() - 8);
  if (!parts.escaped.ends_with(kEndMark)) return std::nullopt;
  bytes.remove_prefix(parts.escaped.size());
  parts.revision = ~Take<int64_t>(bytes);
  return parts;
}

std::string Unescape(std::string_view escaped) {
  escaped.remove_suffix(kEndMark.size());
  std::string out;
  out.reserve(escaped.size());
  for (size_t i = 0; i < escaped.size(); ++i) {
    out.push_back(escaped[i]);
    if (escaped[i] == '\0') ++i;
  }
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
  const auto zeros = static_cast<size_t>(std::count(key.begin(), key.end(), '\0'));
  return key.size() <= kMaxKeyBytes && key.size() + zeros + kEndMark.size() <= kMaxEscapedBytes;
}

}  // namespace strata::engine
