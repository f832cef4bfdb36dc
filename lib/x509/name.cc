#include "lib/x509/name.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/base/utf8.h"
#include "lib/x509/der.h"

namespace strata::x509 {
namespace {

constexpr size_t kMaxText = 200;

bool IsPrintable(char c) {
  // '*' and '&' aren't in the set, but in certificates (parser.go isPrintable).
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("'()+,-./ :=?*&").find(c) != std::string_view::npos;
}

// UCS-2 without what UTF-16 makes of it.
std::optional<std::string> FromBmp(std::string_view value) {
  if (value.size() % 2 != 0) return std::nullopt;
  if (value.ends_with(std::string_view("\0\0", 2))) value.remove_suffix(2);
  std::string text;
  for (size_t i = 0; i < value.size(); i += 2) {
    const uint32_t point = static_cast<uint32_t>(static_cast<uint8_t>(value[i])) << 8 |
                           static_cast<uint8_t>(value[i + 1]);
    if (point >= 0xfffe || (point >= 0xfdd0 && point <= 0xfdef) ||
        (point >= 0xd800 && point < 0xe000)) {
      return std::nullopt;
    }
    base::AppendUtf8(point, text);
  }
  return text;
}

// parser.go parseASN1String: UTF-8, or nothing of what isn't what its tag says, or has another.
std::optional<std::string> TextOf(uint8_t tag, std::string_view value) {
  const auto all = [&](auto allowed) { return std::all_of(value.begin(), value.end(), allowed); };
  bool valid = false;
  switch (tag) {
    case tag::kT61String: {  // read as Latin-1
      std::string text;
      for (const char c : value) base::AppendUtf8(static_cast<uint8_t>(c), text);
      return text;
    }
    case tag::kBmpString:
      return FromBmp(value);
    case tag::kPrintableString:
      valid = all(IsPrintable);
      break;
    case tag::kUtf8String:
      valid = base::IsUtf8(value);
      break;
    case tag::kIa5String:
      valid = all([](char c) { return static_cast<uint8_t>(c) < 0x80; });
      break;
    case tag::kNumericString:
      valid = all([](char c) { return (c >= '0' && c <= '9') || c == ' '; });
      break;
    default:
      break;
  }
  return valid ? std::optional(std::string(value)) : std::nullopt;
}

std::string_view LabelOf(std::string_view oid) {
  static constexpr std::pair<std::string_view, std::string_view> kLabels[] = {
      {"\x55\x04\x03", "CN"}, {"\x55\x04\x05", "SERIALNUMBER"}, {"\x55\x04\x06", "C"},
      {"\x55\x04\x07", "L"},  {"\x55\x04\x08", "ST"},           {"\x55\x04\x09", "STREET"},
      {"\x55\x04\x0a", "O"},  {"\x55\x04\x0b", "OU"},           {"\x55\x04\x11", "POSTALCODE"},
  };
  for (const auto& [known, label] : kLabels) {
    if (known == oid) return label;
  }
  return "?";
}

base::Status Malformed() {
  return base::InvalidArgumentError("malformed distinguished name");
}

}  // namespace

base::StatusOr<Name> Name::Parse(std::string_view der) {
  Name name;
  const auto sequence = Der(der).Read(tag::kSequence);
  if (!sequence) return Malformed();
  std::vector<std::string> parts;
  for (Der parts_left(*sequence); !parts_left.empty();) {
    const auto set = parts_left.Read(tag::kSet);
    if (!set) return Malformed();
    for (Der set_left(*set); !set_left.empty();) {
      const auto attribute = set_left.Read(tag::kSequence);
      if (!attribute) return Malformed();
      Der fields(*attribute);
      const auto oid = fields.ReadOid();
      if (!oid) return Malformed();
      const auto value = fields.ReadAny();
      if (!value) return Malformed();
      const auto text = TextOf(value->tag, value->contents);
      if (!text) return base::InvalidArgumentError("a distinguished name holds an invalid string");
      if (*oid == "\x55\x04\x03") name.common_name = *text;
      if (*oid == "\x55\x04\x0a") name.organizations.push_back(*text);
      parts.push_back(std::string(LabelOf(*oid)) + "=" + *text);
    }
  }
  for (auto part = parts.rbegin(); part != parts.rend(); ++part)
    name.text += (name.text.empty() ? "" : ",") + *part;
  name.text = name.text.empty() ? "without a name" : base::Printable(name.text, kMaxText);
  return name;
}

}  // namespace strata::x509
