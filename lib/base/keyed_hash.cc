#include "lib/base/keyed_hash.h"

#include <sodium/crypto_shorthash.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace strata::base {
namespace {

using Key = std::array<unsigned char, crypto_shorthash_KEYBYTES>;

Key RandomKey() {
  Key key;
  // So few bytes come at once, or not at all (getrandom(2)).
  while (getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size()))
    if (errno != EINTR) std::abort();
  return key;
}

}  // namespace

uint64_t KeyedHash(std::string_view bytes) {
  static const Key key = RandomKey();
  std::array<unsigned char, crypto_shorthash_BYTES> hash;
  crypto_shorthash(hash.data(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                   key.data());
  uint64_t number;
  static_assert(sizeof number == sizeof hash);
  std::memcpy(&number, hash.data(), sizeof number);
  return number;
}

}  // namespace strata::base
