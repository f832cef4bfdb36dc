// Reads protobuf by hand, one field after the other, without copies: for messages of which little
// is of interest, a hundred thousand at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace strata::codec {

// The fields of one message, one after the other. After an error, Next
// and ok() are false.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : rest_(bytes) {}

  // Moves to the next field; false at the end or at an error.
  bool Next() {
    if (rest_.empty() || !ok_) return false;
    uint64_t tag = 0;
    if (!Varint(tag) || tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF) return Fail();
    number_ = static_cast<int>(tag >> 3);
    type_ = static_cast<int>(tag & 7);
    switch (type_) {
      case kVarint:
        return Varint(varint_) || Fail();
      case kFixed64:
        return Take(8) || Fail();
      case kFixed32:
        return Take(4) || Fail();
      case kBytes: {
        uint64_t length = 0;
        return (Varint(length) && length <= rest_.size() && Take(length)) || Fail();
      }
      default:
        return Fail();  // groups, which Kubernetes never writes
    }
  }

  int number() const { return number_; }
  bool ok() const { return ok_; }

  // The value, if the field has the wire type that its number promises; otherwise the message is
  // malformed.
  std::string_view bytes() { return type_ == kBytes ? bytes_ : (Fail(), std::string_view()); }
  int64_t varint() { return type_ == kVarint ? static_cast<int64_t>(varint_) : (Fail(), 0); }

 private:
  bool Fail() {
    ok_ = false;
    return false;
  }

  bool Take(size_t length) {
    if (rest_.size() < length) return false;
    bytes_ = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return true;
  }

  bool Varint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (rest_.empty()) return false;
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  static constexpr int kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;

  std::string_view rest_;
  std::string_view bytes_;
  uint64_t varint_ = 0;
  int number_ = 0;
  int type_ = 0;
  bool ok_ = true;
};

}  // namespace strata::codec
