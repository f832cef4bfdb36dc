#include "lib/transport/net/hello_bound.h"

#include <algorithm>

namespace strata::net {
namespace {

constexpr size_t kRecordHead = 5, kMessageHead = 4;
constexpr char kHandshake = 22;
constexpr char kClientHello = 1, kClientKeyExchange = 16;

// Moves bytes from `in` until `head` has `size`; whether it has.
bool Fill(std::string& head, size_t size, std::string_view& in) {
  const size_t n = std::min(size - head.size(), in.size());
  head.append(in.substr(0, n));
  in.remove_prefix(n);
  return head.size() == size;
}

size_t Number(std::string_view big_endian) {
  size_t number = 0;
  for (const char c : big_endian) number = number << 8 | static_cast<uint8_t>(c);
  return number;
}

}  // namespace

bool HelloBound::Take(std::string_view bytes) {
  while (!bytes.empty() && !encrypted_) {
    if (record_.size() < kRecordHead) {
      if (!Fill(record_, kRecordHead, bytes)) break;
      record_left_ = Number(std::string_view(record_).substr(3));
    }
    const std::string_view part = bytes.substr(0, record_left_);
    bytes.remove_prefix(part.size());
    record_left_ -= part.size();
    // Others may stand between: alerts, early data.
    const bool handshake = record_.front() == kHandshake;
    if (record_left_ == 0) record_.clear();
    if (handshake && !TakeMessages(part)) return false;
  }
  return true;
}

// A record may have several messages, and a message several records.
bool HelloBound::TakeMessages(std::string_view bytes) {
  while (!bytes.empty() && !encrypted_) {
    const size_t rest = std::min(message_left_, bytes.size());
    bytes.remove_prefix(rest);
    message_left_ -= rest;
    if (message_left_ > 0 || !Fill(message_, kMessageHead, bytes)) break;
    const char type = message_.front();
    message_left_ = Number(std::string_view(message_).substr(1));
    message_.clear();
    begun_ = true;
    // There may be a second (RFC 8446 §4.1.4).
    if (type == kClientHello && message_left_ > kMost) return false;
    // TLS 1.2, where records keep their type when they are encrypted (RFC 5246 §7.3).
    if (type == kClientKeyExchange) encrypted_ = true;
  }
  return true;
}

}  // namespace strata::net
