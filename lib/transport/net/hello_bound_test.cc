#include "lib/transport/net/hello_bound.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace strata::net {
namespace {

std::string Big(size_t number, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(number >> 8 * i);
  return text;
}
std::string Record(char type, const std::string& content) {
  return std::string(1, type) + "\x03\x01" + Big(content.size(), 2) + content;
}
// Of `size` bytes, of which there are so many.
std::string Message(char type, size_t size, size_t there) {
  return std::string(1, type) + Big(size, 3) + std::string(there, '\x01');
}
std::string Hello(size_t size, size_t there = 0) {
  return Message(1, size, there);
}

constexpr char kChange = 20, kAlert = 21, kHandshake = 22, kData = 23;
constexpr char kCertificate = 11, kKeyExchange = 16;
constexpr size_t kMost = HelloBound::kMost;

TEST(AHello, IsRefusedByItsHeadWhereverThatStands) {
  const std::string first = Record(kHandshake, Hello(300, 300));
  const std::string alert = Record(kAlert, "\x01\x5a"), head = Hello(kMost + 1);
  const struct {
    const char* what;
    std::string sent;
    bool taken;
  } rows[] = {
      {"nothing", "", true},
      {"the longest", Record(kHandshake, Hello(kMost)), true},
      {"one byte more", Record(kHandshake, head), false},
      {"the longest there could be", Record(kHandshake, Hello(0xffffff)), false},
      {"a head in two records",
       Record(kHandshake, head.substr(0, 1)) + Record(kHandshake, head.substr(1)), false},
      {"a record that is empty", Record(kHandshake, "") + Record(kHandshake, head), false},
      {"behind an alert", alert + Record(kHandshake, head), false},
      {"an alert in the head",
       Record(kHandshake, head.substr(0, 2)) + alert + Record(kHandshake, head.substr(2)), false},
      {"a second, as after HelloRetryRequest", first + Record(kHandshake, head), false},
      {"behind a change of keys that is for show",
       first + Record(kChange, "\x01") + Record(kHandshake, head), false},
      {"behind early data", first + Record(kData, std::string(100, 'x')) + Record(kHandshake, head),
       false},
      {"in the record of the first", Record(kHandshake, Hello(300, 300) + head), false},
      {"in records that share the first",
       Record(kHandshake, Hello(300, 100)) + Record(kHandshake, std::string(200, 'x') + head),
       false},
      {"other messages, which TLS bounds",
       first + Record(kHandshake, Message(kCertificate, 17 << 10, 0)), true},
      {"what TLS 1.2 encrypts",
       first + Record(kHandshake, Message(kKeyExchange, 30, 30)) + Record(kChange, "\x01") +
           Record(kHandshake, head),
       true},
      {"behind the key exchange, in its record",
       first + Record(kHandshake, Message(kKeyExchange, 30, 30) + head), true},
      {"what TLS 1.3 encrypts", first + Record(kData, head), true},
  };
  for (const auto& row : rows) {
    HelloBound whole;
    EXPECT_EQ(whole.Take(row.sent), row.taken) << row.what;
    HelloBound bound;
    bool taken = true;
    for (size_t i = 0; i < row.sent.size() && taken; ++i) taken = bound.Take(row.sent.substr(i, 1));
    EXPECT_EQ(taken, row.taken) << row.what << ", byte by byte";
  }
}

TEST(AHello, HasBegunOnceItsHeadIsThere) {
  const std::string sent = Record(kHandshake, Hello(300, 300));
  HelloBound bound;
  for (size_t i = 0; i < HelloBound::kHeads; ++i) {
    EXPECT_FALSE(bound.begun()) << i;
    EXPECT_TRUE(bound.Take(sent.substr(i, 1)));
  }
  EXPECT_TRUE(bound.begun());
}

}  // namespace
}  // namespace strata::net
