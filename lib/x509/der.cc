#include "lib/x509/der.h"

#include <ctime>

namespace strata::x509 {
namespace {

bool IsMinimalInteger(std::string_view bytes) {
  if (bytes.size() < 2) return !bytes.empty();
  const auto first = static_cast<uint8_t>(bytes[0]), second = static_cast<uint8_t>(bytes[1]);
  return !(first == 0 && second < 0x80) && !(first == 0xff && second >= 0x80);
}

// cryptobyte's readBase128Int: nothing from 2^31 on, no leading zero bits.
bool SkipOidNumber(std::string_view& rest) {
  uint32_t value = 0;
  for (size_t i = 0; i < rest.size(); ++i) {
    const auto byte = static_cast<uint8_t>(rest[i]);
    if (i == 5 || value >= (1U << 24) || (i == 0 && byte == 0x80)) return false;
    value = value << 7 | (byte & 0x7f);
    if (byte >= 0x80) continue;
    rest.remove_prefix(i + 1);
    return true;
  }
  return false;
}

// A field of `digits` digits at the front of `text`.
std::optional<int> TakeNumber(std::string_view& text, size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return value;
}

// "Z", or an offset that isn't zero, in seconds: what survives Go's parsing and formatting again.
std::optional<int> TakeZone(std::string_view& text) {
  if (text == "Z") return 0;
  if (text.size() != 5 || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  const int sign = text[0] == '-' ? -1 : 1;
  text.remove_prefix(1);
  const auto hours = TakeNumber(text, 2);
  const auto minutes = TakeNumber(text, 2);
  if (!hours || !minutes || *hours > 24 || *minutes > 59) return std::nullopt;
  const int offset = (*hours * 60 + *minutes) * 60;
  return offset == 0 ? std::nullopt : std::optional(sign * offset);
}

bool IsDate(int year, int month, int day) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (month < 1 || month > 12 || day < 1) return false;
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return day <= kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

// `text` behind the year. UTCTime may leave out the seconds: Go's fallback.
std::optional<int64_t> TimeOf(int year, std::string_view text, bool seconds_optional) {
  const auto month = TakeNumber(text, 2), day = TakeNumber(text, 2), hour = TakeNumber(text, 2),
             minute = TakeNumber(text, 2);
  if (!month || !day || !hour || !minute) return std::nullopt;
  std::optional<int> second = 0;
  if (!seconds_optional || (!text.empty() && text[0] >= '0' && text[0] <= '9'))
    second = TakeNumber(text, 2);
  const auto zone = TakeZone(text);
  if (!second || !zone || !IsDate(year, *month, *day) || *hour > 23 || *minute > 59 ||
      *second > 59) {
    return std::nullopt;
  }
  std::tm utc{};
  utc.tm_year = year - 1900;
  utc.tm_mon = *month - 1;
  utc.tm_mday = *day;
  utc.tm_hour = *hour;
  utc.tm_min = *minute;
  utc.tm_sec = *second;
  return static_cast<int64_t>(timegm(&utc)) - *zone;
}

}  // namespace

std::string EncodeDer(uint8_t tag, std::string_view contents) {
  std::string length;
  for (size_t rest = contents.size(); rest > 0; rest >>= 8)
    length.insert(length.begin(), static_cast<char>(rest & 0xff));
  std::string der(1, static_cast<char>(tag));
  if (contents.size() < 128) {
    der += static_cast<char>(contents.size());
  } else {
    der += static_cast<char>(0x80 | length.size());
    der += length;
  }
  return der.append(contents);
}

bool Der::Bits::At(size_t index) const {
  if (index >= bytes.size() * 8 - unused) return false;
  return (static_cast<uint8_t>(bytes[index / 8]) >> (7 - index % 8) & 1) != 0;
}

std::string Der::Bits::RightAligned() const {
  std::string aligned;
  unsigned carried = 0;
  for (const char c : bytes) {
    const unsigned both = carried << 8 | static_cast<uint8_t>(c);
    aligned += static_cast<char>(both >> unused);
    carried = both & 0xff;
  }
  return aligned;
}

std::optional<Der::Element> Der::ReadAny() {
  if (rest_.size() < 2) return std::nullopt;
  const auto tag = static_cast<uint8_t>(rest_[0]);
  const auto first = static_cast<uint8_t>(rest_[1]);
  if ((tag & 0x1f) == 0x1f) return std::nullopt;
  uint64_t length = first;
  size_t head = 2;
  if (first >= 0x80) {
    const size_t count = first & 0x7f;
    if (count == 0 || count > 4 || rest_.size() < 2 + count) return std::nullopt;
    length = 0;
    for (size_t i = 0; i < count; ++i) length = length << 8 | static_cast<uint8_t>(rest_[2 + i]);
    if (length < 128 || length >> ((count - 1) * 8) == 0) return std::nullopt;
    head += count;
  }
  if (length > rest_.size() - head) return std::nullopt;
  const auto size = static_cast<size_t>(length);
  const Element element{tag, rest_.substr(0, head + size), rest_.substr(head, size)};
  rest_.remove_prefix(head + size);
  return element;
}

std::optional<std::string_view> Der::Read(uint8_t tag) {
  const auto element = ReadAny();
  if (!element || element->tag != tag) return std::nullopt;
  return element->contents;
}

std::optional<std::string_view> Der::ReadWhole(uint8_t tag) {
  const auto element = ReadAny();
  if (!element || element->tag != tag) return std::nullopt;
  return element->whole;
}

std::optional<bool> Der::ReadBoolean() {
  const auto value = Read(tag::kBoolean);
  if (!value || value->size() != 1) return std::nullopt;
  if ((*value)[0] == '\0') return false;
  if ((*value)[0] == '\xff') return true;
  return std::nullopt;
}

std::optional<std::string_view> Der::ReadInteger(uint8_t tag) {
  const auto value = Read(tag);
  if (!value || !IsMinimalInteger(*value)) return std::nullopt;
  return value;
}

std::optional<int64_t> Der::ReadInt64(uint8_t tag) {
  const auto bytes = ReadInteger(tag);
  if (!bytes || bytes->size() > 8) return std::nullopt;
  uint64_t value = (*bytes)[0] < 0 ? ~uint64_t{0} : 0;
  for (const char byte : *bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return static_cast<int64_t>(value);
}

std::optional<std::string_view> Der::ReadOid() {
  const auto value = Read(tag::kOid);
  if (!value || value->empty()) return std::nullopt;
  for (std::string_view rest = *value; !rest.empty();) {
    if (!SkipOidNumber(rest)) return std::nullopt;
  }
  return value;
}

std::optional<Der::Bits> Der::ReadBits() {
  const auto value = Read(tag::kBitString);
  if (!value || value->empty()) return std::nullopt;
  const auto unused = static_cast<uint8_t>((*value)[0]);
  const std::string_view bytes = value->substr(1);
  if (unused > 7 || (bytes.empty() && unused != 0)) return std::nullopt;
  if (!bytes.empty() && (static_cast<uint8_t>(bytes.back()) & ((1U << unused) - 1)) != 0)
    return std::nullopt;
  return Bits{bytes, unused};
}

std::optional<int64_t> Der::ReadTime() {
  const auto element = ReadAny();
  if (!element) return std::nullopt;
  std::string_view text = element->contents;
  if (element->tag == tag::kGeneralizedTime) {
    const auto year = TakeNumber(text, 4);
    return year ? TimeOf(*year, text, /*seconds_optional=*/false) : std::nullopt;
  }
  if (element->tag != tag::kUtcTime) return std::nullopt;
  const auto year = TakeNumber(text, 2);
  if (!year) return std::nullopt;
  return TimeOf(*year + (*year >= 50 ? 1900 : 2000), text, /*seconds_optional=*/true);
}

}  // namespace strata::x509
