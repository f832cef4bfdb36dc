// DER as Go's crypto/x509 reads it: tags below 31, minimal lengths and integers, canonical OIDs
// (golang.org/x/crypto/cryptobyte, asn1.go). OpenSSL's decoder takes BER, and more, in many places.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace strata::x509 {

namespace tag {
inline constexpr uint8_t kBoolean = 1, kInteger = 2, kBitString = 3, kOctetString = 4, kOid = 6,
                         kUtf8String = 12, kNumericString = 18, kPrintableString = 19,
                         kT61String = 20, kIa5String = 22, kUtcTime = 23, kGeneralizedTime = 24,
                         kBmpString = 30, kSequence = 0x30, kSet = 0x31;
constexpr uint8_t Context(int number) {
  return static_cast<uint8_t>(0x80 | number);
}
constexpr uint8_t Constructed(int number) {
  return static_cast<uint8_t>(0xa0 | number);
}
}  // namespace tag

// An element of these contents.
std::string EncodeDer(uint8_t tag, std::string_view contents);

// What is left of some bytes, read from the front. After a read that gave nothing it is in no
// defined place.
class Der {
 public:
  struct Element {
    uint8_t tag;
    std::string_view whole, contents;  // with its head; without
  };
  struct Bits {
    std::string_view bytes;
    unsigned unused;                   // bits at the end of the last byte, all zero
    bool At(size_t index) const;       // false beyond the end
    std::string RightAligned() const;  // the unused ones in front
  };

  Der() = default;
  explicit Der(std::string_view bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }
  bool NextIs(uint8_t tag) const { return !empty() && static_cast<uint8_t>(rest_[0]) == tag; }

  std::optional<Element> ReadAny();
  // The contents, or the whole, of the next element if it has `tag`.
  std::optional<std::string_view> Read(uint8_t tag);
  std::optional<std::string_view> ReadWhole(uint8_t tag);
  std::optional<bool> ReadBoolean();
  // Two's complement, not empty.
  std::optional<std::string_view> ReadInteger(uint8_t tag = tag::kInteger);
  std::optional<int64_t> ReadInt64(uint8_t tag = tag::kInteger);
  // The encoded value: each number of it is below 2^31.
  std::optional<std::string_view> ReadOid();
  std::optional<Bits> ReadBits();
  // Seconds since 1970, of a UTCTime (1950 to 2049) or a GeneralizedTime.
  std::optional<int64_t> ReadTime();

 private:
  std::string_view rest_;
};

}  // namespace strata::x509
