// How long a TLS client's hello may be, looked at before TLS sees it.
//
// OpenSSL takes and clears memory for a whole message as soon as its head says how long it will be:
// for a ClientHello up to 128 KiB (statem_srvr.c CLIENT_HELLO_MAX_LENGTH) for nine bytes. It has no
// setting for that, and none of its callbacks comes in between. Of a client's other messages none
// gets more than 16 KiB, and its certificates what SSL_CTX_set_max_cert_list says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace strata::net {

// Reads along what one client sends while its handshake lasts.
class HelloBound {
 public:
  // Go's is 64 KiB. One with hybrid keys has 2 KiB, and much beside them fits.
  static constexpr size_t kMost = 16 << 10;
  // Bytes that tell of most clients: the heads of a record and of the message in it.
  static constexpr size_t kHeads = 9;

  // The next bytes that came. False: a ClientHello begins in them that is longer than kMost.
  bool Take(std::string_view bytes);
  // Whether any message has begun so far.
  bool begun() const { return begun_; }

 private:
  bool TakeMessages(std::string_view bytes);

  std::string record_;       // the head of the one that is read, of five bytes
  size_t record_left_ = 0;   // of it, behind its head
  std::string message_;      // the head of the next, of four bytes
  size_t message_left_ = 0;  // of the one before
  bool begun_ = false;
  bool encrypted_ = false;  // what comes from now on can't be read
};

}  // namespace strata::net
